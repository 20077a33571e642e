import io

import pytest

from minima.record.progress import Progress


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock():
    return Clock()


def run(progress, clock, compile_seconds=50.0, segments=20):
    done = 0.0
    progress.update(done, 100_000, {}, 10)
    clock.now += compile_seconds
    for segment in range(segments):
        clock.now += 1.0
        done += 2_500
        progress.update(done, 100_000, {"complete": segment // 4, "diverged": 0}, 10)


def test_the_time_left_does_not_count_compilation(clock):
    out = io.StringIO()
    with Progress(out, every=0, clock=clock) as progress:
        run(progress, clock)
    lines = out.getvalue().splitlines()
    assert lines[-1] == " 50%  4/10 cells, 2.5k examples/s, 0:20 left, 4 complete"
    assert "left" not in lines[1]  # the update that waited for the compilation


def test_later_compilations_do_not_disturb_the_speed(clock):
    out = io.StringIO()
    with Progress(out, every=0, clock=clock) as progress:
        run(progress, clock)
        clock.now += 300.0
        progress.update(52_500, 100_000, {}, 10)
    assert "2.5k examples/s, 0:19 left" in out.getvalue().splitlines()[-1]


def test_a_resumed_start_is_not_speed(clock):
    out = io.StringIO()
    with Progress(out, every=0, clock=clock) as progress:
        progress.update(90_000, 100_000, {"complete": 9}, 10)
        clock.now += 1
        progress.update(91_000, 100_000, {"complete": 9}, 10)
        clock.now += 1
        progress.update(92_000, 100_000, {"complete": 9}, 10)
    assert "1k examples/s, 0:08 left" in out.getvalue()


def test_a_pipe_gets_few_plain_lines_the_first_at_once(clock):
    out = io.StringIO()
    with Progress(out, every=30, clock=clock) as progress:
        progress.update(0, 100, {}, 10)
        assert out.getvalue() == "  0%  0/10 cells\n"
        for _ in range(100):
            clock.now += 1
            progress.update(50, 100, {"complete": 1}, 10)
        progress.note("compiled batch size 64")
        progress.update(100, 100, {"complete": 9, "diverged": 1}, 10)
    lines = out.getvalue().splitlines()
    assert len(lines) == 6
    assert "compiled batch size 64" in lines
    assert lines[-1].startswith("100%  10/10 cells")
    assert lines[-1].endswith("9 complete, 1 diverged")
    assert all(character.isprintable() for line in lines for character in line)


def test_nothing_is_said_about_a_run_that_never_began():
    out = io.StringIO()
    with Progress(out):
        pass
    assert out.getvalue() == ""


def test_a_terminal_gets_a_bar_that_is_taken_down(clock, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    out = Terminal()
    with Progress(out, clock=clock) as progress:
        run(progress, clock)
        progress.note("a [note]")
    text = out.getvalue()
    assert "4/10 cells" in text
    assert "a [note]" in text
    assert "\x1b[?25h" in text  # the cursor is shown again


def test_an_exception_still_shows_where_the_run_stood(clock):
    out = io.StringIO()

    def fail():
        with Progress(out, every=1000, clock=clock) as progress:
            run(progress, clock)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert out.getvalue().splitlines()[-1].startswith(" 50%")
