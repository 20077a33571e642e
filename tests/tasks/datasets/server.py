"""A local server of files that can misbehave in every way a real one does."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    """Serves `data` at any path, or at its path if given as a dict.

    `ways` are taken one a request, the last one from then on.
    """

    daemon_threads = True

    def __init__(self, data: bytes | dict[str, bytes], *ways: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = data if isinstance(data, dict) else {}
        self.data = b"" if self.files else data
        self.ways = list(ways or ["well"])
        self.ranges: list[str | None] = []
        self.over = threading.Event()

    @property
    def url(self) -> str:
        return f"{self.base}file.bin"

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"

    def __enter__(self) -> "Server":
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.shutdown()
        self.server_close()

    def next_way(self) -> str:
        return self.ways.pop(0) if len(self.ways) > 1 else self.ways[0]

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is no news."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.ranges.append(self.headers["Range"])
        self.server.data = self.server.files.get(self.path, self.server.data)
        getattr(self, self.server.next_way())()

    def log_message(self, *_: object) -> None:
        pass

    def start(self) -> int:
        value = self.headers["Range"]
        return int(value.removeprefix("bytes=").removesuffix("-")) if value else 0

    def head(self, code: int, length: int, **headers: str) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def well(self) -> None:
        data, start = self.server.data, self.start()
        whence = f"bytes {start}-{len(data) - 1}/{len(data)}"
        self.head(206 if start else 200, len(data) - start, Content_Range=whence)
        self.wfile.write(data[start:])

    def without_range(self) -> None:
        self.head(200, len(self.server.data))
        self.wfile.write(self.server.data)

    def another_range(self) -> None:
        data = self.server.data
        self.head(206, len(data), Content_Range=f"bytes 0-{len(data) - 1}/{len(data)}")
        self.wfile.write(data)

    def unsatisfiable(self) -> None:
        self.missing(416) if self.start() else self.well()

    def half(self) -> None:
        # Announces all that is left, and hangs up halfway through it.
        data = self.server.data[self.start() :]
        self.head(206 if self.start() else 200, len(data), Content_Range=f"bytes {self.start()}-")
        self.wfile.write(data[: len(data) // 2])

    def nothing(self) -> None:
        self.head(200, 0)

    def too_short(self) -> None:
        data = self.server.data[: len(self.server.data) // 3]
        self.head(200, len(data))
        self.wfile.write(data)

    def too_long(self) -> None:
        self.head(200, len(self.server.data) + 1000)
        self.wfile.write(self.server.data + bytes(1000))

    def endless(self) -> None:
        self.send_response(200)
        self.end_headers()
        while not self.server.over.is_set():
            self.wfile.write(self.server.data)

    def wrong(self) -> None:
        self.head(200, len(self.server.data))
        self.wfile.write(bytes(len(self.server.data)))

    def stalled(self) -> None:
        data = self.server.data[self.start() :]
        self.head(206 if self.start() else 200, len(data), Content_Range=f"bytes {self.start()}-")
        self.wfile.write(data[:1000])
        self.server.over.wait(20)

    def silent(self) -> None:
        self.server.over.wait(20)

    def dripping(self) -> None:
        self.head(200, len(self.server.data))
        for i in range(len(self.server.data)):
            self.wfile.write(self.server.data[i : i + 1])
            if self.server.over.wait(0.05):
                return

    def slowly(self) -> None:
        # Heeds ranges, and takes about a second for the whole.
        data, start = self.server.data, self.start()
        self.head(206 if start else 200, len(data) - start, Content_Range=f"bytes {start}-")
        step = len(data) // 100
        for i in range(start, len(data), step):
            self.wfile.write(data[i : i + step])
            time.sleep(0.01)

    def missing(self, code: int = 404) -> None:
        self.head(code, 4)
        self.wfile.write(b"sad\n")

    def busy(self) -> None:
        self.missing(503)

    def hangs_up(self) -> None:
        self.close_connection = True

    def babbles(self) -> None:
        self.wfile.write(b"what is this\r\n\r\n")

    def moved(self) -> None:
        self.head(302, 0, Location="/elsewhere/file.bin")

    def to_a_file(self) -> None:
        self.head(302, 0, Location="file:///etc/hostname")
