"""Stands in for kubectl and a cluster: keeps objects in $KUBECTL_STORE as it is told, runs nothing.

Its users write the statuses that a real cluster's controllers would.
"""

import json
import os
import sys
from pathlib import Path

STORE = Path(os.environ["KUBECTL_STORE"])


def main(words: list[str]) -> None:
    namespace, verb, *rest = words
    flags = dict(word.removeprefix("--").partition("=")[::2] for word in rest if word[0] == "-")
    kinds = {kind.rstrip("s") for kind in (rest[0].split(",") if rest[0][0] != "-" else ())}
    objects = json.loads(STORE.read_text()) if STORE.exists() else []
    if verb == "apply":
        new = json.load(sys.stdin)["items"]
        assert all(f"--namespace={each['metadata']['namespace']}" == namespace for each in new)
        names = {key(each) for each in new}
        objects = [each for each in objects if key(each) not in names] + new
        for kind, name in names:
            print(f"{kind.lower()}/{name} configured")
    elif verb == "get":
        found = [each for each in objects if each["kind"].lower() in kinds and chosen(each, flags)]
        print(json.dumps({"items": found}))
    elif verb == "delete":
        named = {word for word in rest[1:] if word[0] != "-"}
        gone = [
            each for each in objects
            if each["kind"].lower() in kinds
            and (each["metadata"]["name"] in named or ("selector" in flags and chosen(each, flags)))
        ]  # fmt: skip
        objects = [each for each in objects if each not in gone]
    else:
        sys.exit(f"error: unknown command {verb}")
    STORE.write_text(json.dumps(objects))


def key(each: dict) -> tuple[str, str]:
    return each["kind"], each["metadata"]["name"]


def chosen(each: dict, flags: dict[str, str]) -> bool:
    name, _, value = flags["selector"].partition("=")
    return each["metadata"].get("labels", {}).get(name) == value


main(sys.argv[1:])
