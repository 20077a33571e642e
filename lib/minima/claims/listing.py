"""The table of claims in words, and the command that puts one to the test."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

from minima.claims.claim import Claim
from minima.claims.ledger import CLAIMS, find
from minima.runtime.errors import UserError

# Which branches of the flagship bring which planes; the trunk's own need none.
_BRANCH_OF = {
    "updates": "updates",
    "loss": "updates",
    "decayed": "schedules",
    "grown": "schedules",
    "infinite_epochs": "infinite",
    "infinite_updates": "infinite",
}


def overview() -> str:
    """One entry per claim: id, sentence, prediction, source."""
    entries = []
    for claim in CLAIMS:
        text = f"{claim.sentence} Predicted: {claim.prediction} {claim.unit}. [{claim.source}]"
        entries.append(f"{claim.id}\n" + textwrap.indent(textwrap.fill(text, 92), "    "))
    entries.append("`python -m minima reproduce ID` puts one to the test.")
    return "\n".join(entries)


def detail(claim_id: str) -> str:
    """Everything about one claim that is fixed before the data.

    Raises:
      UserError: there is none of this id.
    """
    claim = known(claim_id)
    rows = {
        "claim": claim.sentence,
        "source": claim.source,
        "protocol": claim.protocol,
        "predicted": f"{claim.prediction} {claim.unit}",
        "rule": claim.rule,
        "tolerance": f"{claim.tolerance:g} {claim.unit}",
        "needs": ", ".join(claim.needs),
        "opponents": ", ".join(claim.opponents) or "none",
        "hash": f"{claim.tolerance_hash} (of id, sentence, rule, prediction, tolerance)",
        "test": " ".join(command(claim_id, (), anywhere=True)),
    }
    lines = []
    for name, text in rows.items():
        wrapped = textwrap.wrap(text, 82, break_long_words=False, break_on_hyphens=False)
        lines += [f"{name if i == 0 else '':<10} {line}" for i, line in enumerate(wrapped)]
    return "\n".join(lines)


def command(claim_id: str, flags: Sequence[str], anywhere: bool = False) -> list[str]:
    """The command line that trains what a claim needs and judges it alone.

    Args:
      claim_id: of the claim.
      flags: further ones; they win over the claim's own.
      anywhere: don't ask whether the script is there.

    Raises:
      UserError: no such claim, or no experiments/ in the current folder.
    """
    claim = known(claim_id)
    script = Path("experiments") / f"{claim.experiment}.py"
    if not anywhere and not script.exists():
        raise UserError(f"{script}: not in the current folder; run this in a checkout of minima")
    branches = sorted({_BRANCH_OF[name] for name in claim.needs if name in _BRANCH_OF})
    own = ["--preset=laptop", "--dataset=mnist1d", f"--branches={','.join(branches) or 'none'}"]
    return ["python", str(script), *own, *claim.flags, f"--claims={claim.id}", *flags]


def known(claim_id: str) -> Claim:
    """A claim by its id; UserError names the nearest where there is none."""
    try:
        return find(claim_id)
    except KeyError as error:
        raise UserError(str(error.args[0])) from error
