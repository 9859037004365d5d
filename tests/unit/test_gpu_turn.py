"""Engines that share a GPU: one of them is on it at a time, and each has its turn."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from acestep_ray import gpu_turn
from acestep_ray.gpu_turn import GpuTurn
from tests.service import until


class Gpu:
    """What is on it; fails if two engines are."""

    def __init__(self) -> None:
        self.there: list[str] = []
        self.history: list[str] = []


class Engine:
    """Its weights are a name. ``moves``: where it went."""

    def __init__(self, name: str, gpu: Gpu, turn: GpuTurn) -> None:
        self.name, self.gpu, self.turn = name, gpu, turn
        self.broken = self.stuck = False
        with turn.first():
            self.arrive()
        turn.keep(self)

    def arrive(self) -> None:
        if self.broken:
            raise MemoryError
        assert self.gpu.there == []
        self.gpu.there.append(self.name)
        self.gpu.history.append(self.name)

    def leave(self) -> None:
        if self.stuck:
            self.gpu.there.clear()
            raise RuntimeError("it cannot leave")
        if self.name in self.gpu.there:
            self.gpu.there.remove(self.name)

    def work(self, waiting: Callable[[], None] = lambda: None) -> None:
        with self.turn.held(waiting):
            assert self.gpu.there == [self.name]


Make = Callable[..., Engine]


@pytest.fixture
def gpu() -> Gpu:
    return Gpu()


@pytest.fixture
def make(tmp_path: Path, gpu: Gpu) -> Iterator[Make]:
    with ExitStack() as opened:

        def make(name: str, gpus: tuple[str, ...] = ("0",), unload: float = 0.0) -> Engine:
            turn = GpuTurn(gpus, unload, tmp_path)
            opened.callback(turn.close)
            return Engine(name, gpu, turn)

        yield make


def test_an_idle_engine_leaves_when_another_one_waits(make: Make, gpu: Gpu) -> None:
    first = make("first")
    second = make("second")  # loads its weights, so the first has left
    assert gpu.there == ["second"]
    for _ in range(2):
        first.work()
        second.work()
    assert gpu.history == ["first", "second"] + ["first", "second"] * 2
    second.work()
    assert gpu.history[-2:] == ["first", "second"], "nobody else waited, so it stayed"


def test_an_engine_that_works_is_waited_for(make: Make, gpu: Gpu) -> None:
    first, second = make("first"), make("second")
    asked = threading.Event()
    with second.turn.held():
        thread = threading.Thread(target=lambda: first.work(asked.set))
        thread.start()
        assert asked.wait(60)
        assert gpu.there == ["second"]
    thread.join(60)
    assert gpu.history[-1] == "first"


def test_an_engine_with_much_work_gives_the_other_its_turn(
    make: Make, gpu: Gpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_turn, "TURN_SECONDS", 0.0)
    first, second = make("first"), make("second")
    done = threading.Event()

    def all_the_time() -> None:
        while not done.is_set():
            second.work()

    thread = threading.Thread(target=all_the_time)
    thread.start()
    for _ in range(3):
        until(lambda: gpu.there == ["second"], "the second has no turn")
        first.work()
    done.set()
    thread.join(60)
    assert not thread.is_alive()
    assert gpu.history.count("first") == 4


def test_a_job_that_is_stopped_no_longer_waits(make: Make, gpu: Gpu) -> None:
    first, second = make("first"), make("second")

    def stopped() -> None:
        raise InterruptedError

    with second.turn.held(), pytest.raises(InterruptedError):
        first.work(stopped)
    second.work()
    assert gpu.history[-1] == "second", "nobody waits any more"
    first.work()


def test_an_engine_that_has_no_room_lets_the_others_work(make: Make, gpu: Gpu) -> None:
    first, second = make("first"), make("second")
    first.broken = True
    with pytest.raises(MemoryError):
        first.work()
    second.work()
    first.broken = False
    first.work()
    assert gpu.there == ["first"]


HOLDER = """
import sys
from pathlib import Path
from acestep_ray.gpu_turn import GpuTurn
turn = GpuTurn(("0",), 0.0, Path(sys.argv[1]))
with turn.first():
    print("has it", flush=True)
    sys.stdin.read()
"""


def test_the_turn_of_a_process_that_is_killed_is_over(make: Make, gpu: Gpu, tmp_path: Path) -> None:
    engine = make("engine")
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout and holder.stdout.readline() == b"has it\n"
        assert gpu.there == []
        asked = threading.Event()
        thread = threading.Thread(target=lambda: engine.work(asked.set))
        thread.start()
        assert asked.wait(60)
        holder.kill()
        thread.join(60)
    assert gpu.there == ["engine"]


def test_an_engine_that_cannot_leave_does_not_stop_the_others(make: Make, gpu: Gpu) -> None:
    first, second = make("first"), make("second")
    first.work()
    first.stuck = True
    second.work()  # it may find no room; that is better than to wait for ever
    first.stuck = False
    first.work()


def test_nothing_moves_while_memory_is_freed(make: Make, gpu: Gpu) -> None:
    engine = make("engine", (), 0.1)
    engine.work()
    with engine.turn.undisturbed():
        where = list(gpu.there)
        assert not threading.Event().wait(0.3)  # longer than the engine stays without work
        assert gpu.there == where


def test_engines_of_other_gpus_do_not_wait(make: Make, gpu: Gpu, tmp_path: Path) -> None:
    first = make("first")
    other = GpuTurn(("1",), 0.0, tmp_path)
    with first.turn.held(), other.first():
        pass
    other.close()


def test_an_engine_without_work_leaves_after_a_while(make: Make, gpu: Gpu) -> None:
    engine = make("only", (), 0.2)
    until(lambda: not gpu.there, "it stays")
    engine.work()
    assert gpu.history == ["only", "only"]
    until(lambda: not gpu.there, "it stays")
    assert not engine.turn.there


def test_a_load_that_fails_lets_the_others_load(tmp_path: Path, make: Make, gpu: Gpu) -> None:
    turn = GpuTurn(("0",), 0.0, tmp_path)
    with pytest.raises(MemoryError), turn.first():
        raise MemoryError
    make("other").work()
    turn.close()
