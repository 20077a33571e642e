"""Objects below a URL, through fsspec: what of an object store minima relies on, and no more.

Relied on: a PUT is seen whole or not at all, an object can be listed once its PUT has returned.
Every call is tried again a few times, as stores fail now and then.
"""

import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, unquote

from minima.runtime.caches import cache_directory
from minima.runtime.errors import UserError

Result = TypeVar("Result")
Item = TypeVar("Item")

WAITS = (0.2, 0.4, 0.8, 1.6)  # seconds between tries
_PATIENCE = 30.0  # seconds after which a call is not tried again
_THREADS = 8
_SMALL = 4 * 2**20  # bytes read into memory: a file may be replaced while a larger one is read
_EXTRAS = {"gs": "gcs", "gcs": "gcs", "s3": "s3", "s3a": "s3"}

_log = logging.getLogger(__name__)


class Unreachable(Exception):  # noqa: N818 - named after the state, as DiskFull is
    """A store does not answer, or not any more; what this machine holds is intact."""


def is_url(text: object) -> bool:
    """Whether a text names a remote place; `file://` is a path like any other."""
    return "://" in str(text) and not str(text).startswith("file://")


def local_path(place: str | Path) -> Path:
    """The folder that stands for a URL on this machine; a path stands for itself.

    Nesting is kept: `local_path(url) / "name"` is that of `url/name`, and `url_of` leads back.

    Raises:
      UserError: the URL has a part that no folder can be called.
    """
    text = str(place)
    if not is_url(text):
        return Path(text.removeprefix("file://"))
    if fault := unusable(text):
        raise UserError(f"{text}: {fault}")
    protocol, _, rest = text.partition("://")
    parts = rest.rstrip("/").split("/")
    return _mirrors() / protocol / Path(*(quote(part, safe=" ,=@+") or "%" for part in parts))


def unusable(place: str) -> str:
    """What is wrong with a path or URL by its form alone; empty where nothing is."""
    protocol, _, rest = place.partition("://")
    parts = rest.rstrip("/").split("/")
    if is_url(place) and (not parts[-1] or {".", ".."} & set(parts)):
        return f"names no folder; use the form {protocol}://bucket/folder"
    return ""


def url_of(directory: Path) -> str | None:
    """The URL that a folder stands for, or None where it stands for itself."""
    try:
        protocol, *parts = directory.absolute().relative_to(_mirrors()).parts
    except ValueError:
        return None
    return protocol + "://" + "/".join("" if part == "%" else unquote(part) for part in parts)


def joined(place: str, *names: str) -> str:
    """A folder further down, of a path or a URL."""
    return "/".join([place.rstrip("/"), *names]) if is_url(place) else str(Path(place, *names))


def _mirrors() -> Path:
    return cache_directory().absolute() / "mirrors"


class Store:
    """Objects by their names relative to a URL; safe to use from several threads.

    All methods raise `UserError` where the URL or the credentials are at fault, and `Unreachable`
    where the store fails again and again.
    """

    def __init__(self, url: str) -> None:
        """Asks nothing of the store yet.

        Raises:
          UserError: nothing here can read such a URL.
        """
        self.url = url.rstrip("/")
        self._files, self._root = _open(self.url)

    def sizes(self, folder: str = "") -> dict[str, int]:
        """The size in bytes of every object, or of those below a folder."""
        below = self._path(folder) if folder else self._root

        def find() -> dict[str, Any]:
            self._files.invalidate_cache()
            try:
                return self._files.find(below, detail=True)
            except FileNotFoundError:
                return {}

        start = len(self._root) + 1
        found = self._tried(find)
        return {
            name[start:]: int(entry["size"] or 0)
            for name, entry in sorted(found.items())
            if entry["type"] == "file" and not name.endswith("/")
        }

    def folders(self, folder: str) -> list[str]:
        """The names of the folders right below a folder."""

        def listed() -> list[dict[str, Any]]:
            self._files.invalidate_cache()
            try:
                return self._files.ls(self._path(folder), detail=True)
            except FileNotFoundError:
                return []

        found = (entry["name"] for entry in self._tried(listed) if entry["type"] == "directory")
        return sorted(name.rstrip("/").rpartition("/")[2] for name in found)

    def read(self, name: str) -> bytes | None:
        """An object's content, or None where there is none."""

        def cat() -> bytes | None:
            try:
                return self._files.cat_file(self._path(name))
            except FileNotFoundError:
                return None

        return self._tried(cat)

    def write(self, name: str, content: bytes) -> None:
        """Puts an object; replaces the one that is there."""
        self._put(lambda: self._files.pipe_file(self._path(name), content))

    def create(self, name: str, content: bytes) -> bool:
        """Puts an object unless there is one; returns whether it did.

        Where two do so at once, one store lets one of them win (s3, gs), another may let both.
        """

        def put() -> bool:
            try:
                self._files.pipe_file(self._path(name), content, mode="create")
            except FileExistsError:
                return False
            return True

        return self._put(put)

    def upload(self, name: str, path: Path) -> None:
        """Puts a file; passes over one that is gone."""
        try:
            if path.stat().st_size <= _SMALL:
                self.write(name, path.read_bytes())
            else:
                self._put(lambda: self._files.put_file(str(path), self._path(name)))
        except FileNotFoundError:
            _log.info("%s: went before it was up", path)

    def download(self, name: str, path: Path) -> None:
        """Fetches an object into a file, whole or not at all.

        Raises:
          FileNotFoundError: it is gone.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.parent / f".aside-{os.getpid()}-{abs(hash(name))}"
        try:
            self._tried(lambda: self._files.get_file(self._path(name), str(aside)))
            os.replace(aside, path)
        finally:
            aside.unlink(missing_ok=True)

    def delete(self, names: Iterable[str]) -> None:
        """Removes objects; one that is gone is as good as removed."""

        def remove(name: str) -> None:
            with contextlib.suppress(FileNotFoundError):
                self._files.rm_file(self._path(name))

        self.each(lambda name: self._tried(lambda: remove(name)), names)

    def each(self, function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """Calls the function for all items, several at a time, until one call fails."""
        waiting = list(items)
        if len(waiting) < 2:
            return [function(item) for item in waiting]
        with ThreadPoolExecutor(_THREADS) as threads:
            calls = [threads.submit(function, item) for item in waiting]
            try:
                return [call.result() for call in calls]
            except BaseException:
                threads.shutdown(wait=False, cancel_futures=True)  # the rest would fail as well
                raise

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _put(self, call: Callable[[], Result]) -> Result:
        try:
            return self._tried(call)
        except FileNotFoundError as error:
            raise UserError(f"{self.url}: {_brief(error)}; {_REMEDY}") from error

    def _tried(self, call: Callable[[], Result]) -> Result:
        begin = time.monotonic()
        for wait in (*WAITS, None):
            try:
                return call()
            except FileNotFoundError:
                raise
            except Exception as error:  # whatever botocore, aiohttp and their kin come up with
                if _is_refusal(error):
                    raise UserError(f"{self.url}: {_brief(error)}; {_REMEDY}") from error
                # Some clients try for a minute themselves before they give up.
                if wait is None or time.monotonic() - begin > _PATIENCE:
                    text = f"{self.url}: does not answer ({_brief(error)})"
                    raise Unreachable(text) from error
                _log.info("%s: %s; trying again", self.url, _brief(error))
            time.sleep(wait)
        raise AssertionError("the last try returns or raises")


_REMEDY = "check the bucket's name and that your credentials may write there"


def _open(url: str) -> tuple[Any, str]:
    import fsspec

    protocol = url.partition("://")[0]
    logging.getLogger("gcsfs").setLevel(logging.ERROR)  # it warns of what it then raises
    try:
        files, root = fsspec.core.url_to_fs(url)
    except ImportError as error:
        extra = _EXTRAS.get(protocol)
        needs = f'needs {extra}fs: pip install "minima[{extra}]"' if extra else str(error)
        raise UserError(f"{url}: {needs}") from error
    except ValueError as error:
        raise UserError(f"{url}: {error}; use gs://bucket/folder or s3://bucket/folder") from error
    except Exception as error:  # a client that looks for credentials as it is made
        raise UserError(f"{url}: {_brief(error)}; {_REMEDY}") from error
    return files, str(root).rstrip("/")


def _is_refusal(error: Exception) -> bool:
    """Whether trying again is no use."""
    words = f"{type(error).__name__} {error}".lower()
    return isinstance(error, PermissionError) or any(
        word in words for word in ("credential", "forbidden", "access denied", "unauthorized")
    )


def _brief(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
