"""`bucket://`: an object store in a folder of this machine, for tests of several processes.

The folder is `$BUCKET`. An object is seen whole or not at all. `$BUCKET_FAULTS` makes calls fail:
`every=3` each third, `after=40` all from the 41st on, `slow=0.1` waits before each.
"""

import itertools
import os
import shutil
import time
from pathlib import Path

from fsspec.spec import AbstractFileSystem


class BucketFileSystem(AbstractFileSystem):
    protocol = "bucket"
    cachable = False
    calls = 0  # of this process, as are the others
    sent = 0  # bytes
    received = 0
    _names = itertools.count()

    def find(self, path, maxdepth=None, withdirs=False, detail=False, **kwargs):
        self._call()
        folder = self._here(path)
        files = [p for p in folder.rglob("*") if p.is_file() and not p.name.startswith("~")]
        found = {self._name(p): self._entry(p) for p in files if p.exists()}
        return found if detail else list(found)

    def ls(self, path, detail=True, **kwargs):
        self._call()
        folder = self._here(path)
        if not folder.exists():
            raise FileNotFoundError(path)
        found = [self._entry(p) for p in folder.iterdir() if not p.name.startswith("~")]
        return found if detail else [entry["name"] for entry in found]

    def cat_file(self, path, start=None, end=None, **kwargs):
        self._call()
        content = self._here(path).read_bytes()
        type(self).received += len(content)
        return content

    def pipe_file(self, path, value, mode="overwrite", **kwargs):
        self._call()
        target, aside = self._here(path), self._aside(path)
        aside.write_bytes(value)
        if mode == "create":
            try:
                os.link(aside, target)
            finally:
                aside.unlink()
        else:
            os.replace(aside, target)
        type(self).sent += len(value)

    def put_file(self, lpath, rpath, **kwargs):
        self.pipe_file(rpath, Path(lpath).read_bytes())

    def get_file(self, rpath, lpath, **kwargs):
        self._call()
        shutil.copyfile(self._here(rpath), lpath)
        type(self).received += Path(lpath).stat().st_size

    def rm_file(self, path):
        self._call()
        self._here(path).unlink()

    def _call(self):
        type(self).calls += 1
        fault, _, number = os.environ.get("BUCKET_FAULTS", "").partition("=")
        if fault == "slow":
            time.sleep(float(number))
        elif (fault == "every" and self.calls % int(number) == 0) or (
            fault == "after" and self.calls > int(number)
        ):
            raise ConnectionResetError("the test's store fails")

    def _here(self, path):
        return Path(os.environ["BUCKET"], self._strip_protocol(path))

    def _name(self, path):
        return path.relative_to(os.environ["BUCKET"]).as_posix()

    def _entry(self, path):
        if path.is_dir():
            return {"name": self._name(path), "type": "directory", "size": 0}
        return {"name": self._name(path), "type": "file", "size": path.stat().st_size}

    def _aside(self, path):
        target = self._here(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        return target.parent / f"~{os.getpid()}-{next(self._names)}"
