"""usage: python3 -m matrix [OPTION...] FILE [NAME-PREFIX...]

Runs the scenarios of FILE and prints one table. Exit 0: every one passed.
"""
import argparse
import pathlib
import queue
import shutil
import signal
import sys
import tempfile
import threading

from . import gateway
from .scenario import Malformed, read
from .strongswan import CHARON, StrongSwan, compile_shim, make_rsa_keys
from .trial import Row, Trial
from .world import World

HEADS = ["scenario", "negotiated", "pings", "we sent>got", "peer sent>got", "isakmp/esp/ah/clear", "read", "s", "result"]
WIDTHS = [30, 62, 10, 11, 13, 19, 7, 5, 0]
TOOLS = ["ip", "nft", "tshark", "gcc", "swanctl", "pki", "ike-scan", CHARON]


def print_row(cells):
    print("  ".join(f"{cell:<{width}}" for cell, width in zip(cells, WIDTHS)).rstrip(), flush=True)


class Worker(threading.Thread):
    """Takes scenarios of one peer after the other, each peer in a world of its own."""

    def __init__(self, letter, scenarios, rows, directory, shim):
        super().__init__(daemon=True)
        self.letter, self.scenarios, self.rows, self.shim = letter, scenarios, rows, shim
        self.directory, self.opened = directory, 0
        self.kind = self.world = self.peer = None
        self.stopping = False

    def run(self):
        try:
            while not self.stopping:
                scenario = self.scenarios.get_nowait()
                self.rows.put(self.trial(scenario))
        except queue.Empty:
            pass
        finally:
            self.close()
            self.rows.put(None)

    def trial(self, scenario):
        try:
            if scenario.peer != self.kind:
                self.close()
                self.open(scenario.peer)
        except Exception as error:
            self.close()
            row = Row(scenario)
            row.trouble = f"no world for it: {error}"
            return row
        return Trial(scenario, self.world, self.peer, self.directory).run()

    def open(self, kind):
        self.opened += 1
        directory = self.directory / f"{self.letter}{self.opened}"
        directory.mkdir()
        self.world = World(self.letter, directory, self.directory / "rsa", kind != "gateway")
        if kind == "strongswan":
            self.peer = StrongSwan(self.world)
            self.peer.begin(self.shim)
        elif kind == "gateway":
            self.peer = gateway.GatewayPeer(self.world)
        self.kind = kind

    def close(self):
        if isinstance(self.peer, StrongSwan):
            self.peer.close()
        if self.world:
            self.world.close()
        self.kind = self.world = self.peer = None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[2])
    parser.add_argument("file", type=pathlib.Path)
    parser.add_argument("prefixes", nargs="*", help="only scenarios whose names begin so")
    parser.add_argument("--jobs", type=int, default=2, help="how many at the same time")
    parser.add_argument("--keep", action="store_true", help="leave logs and captures behind")
    parser.add_argument("--gateway", type=pathlib.Path, default=gateway.PROGRAM, help="the program under test")
    args = parser.parse_args()
    gateway.PROGRAM = args.gateway.resolve()
    absent = [tool for tool in [*TOOLS, str(gateway.PROGRAM)] if not shutil.which(tool)]
    if absent:
        sys.exit(f"missing: {', '.join(absent)}")
    try:
        chosen = read(args.file)
    except Malformed as error:
        sys.exit(str(error))
    if args.prefixes:
        chosen = [scenario for scenario in chosen if scenario.name.startswith(tuple(args.prefixes))]
    if not chosen:
        sys.exit("no scenario")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    directory = pathlib.Path(tempfile.mkdtemp(prefix="interop."))
    todo, rows = queue.Queue(), queue.Queue()
    failed = []
    print_row(HEADS)

    def report(row):
        print_row(row.cells())
        if row.trouble is not None:
            failed.append(row)

    for scenario in chosen:
        todo.put(scenario)
    workers = []
    try:
        shim = compile_shim(directory)
        make_rsa_keys(directory / "rsa")
        for number in range(max(1, args.jobs)):
            workers.append(Worker("abcdefgh"[number], todo, rows, directory, shim))
            workers[-1].start()
        left = len(workers)
        while left:
            row = rows.get()
            left -= row is None
            if row:
                report(row)
    finally:
        for worker in workers:
            worker.stopping = True
        for worker in workers:
            worker.join(60)
        if args.keep:
            print(f"kept: {directory}")
        else:
            shutil.rmtree(directory, ignore_errors=True)
    for row in failed:
        print(f"\n=== {row.scenario.name}: {row.trouble}\n{row.details}")
    print(f"\n{len(chosen)} scenarios, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
