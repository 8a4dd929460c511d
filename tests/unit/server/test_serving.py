"""``vpp-sim serve`` in a process of its own: it says where it is, answers, and ends at an interrupt."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

from vpp_sim.cli import main

ROOT = Path(__file__).parents[3]


def test_serve_answers_until_interrupted(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "vpp_sim.cli", "serve", "--results", str(tmp_path), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        said = process.stdout.readline().strip()
        address = said.rpartition(" ")[2]
        assert said == f"serving {tmp_path} at {address}"
        assert address.startswith("http://127.0.0.1:")
        with urlopen(f"{address}api/runs", timeout=60) as answer:
            assert json.load(answer)["total"] == 0
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "", "")


def test_serve_needs_a_folder_of_runs(tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    assert main(["serve", "--results", str(tmp_path / "nowhere")]) == 2
    assert capsys.readouterr().err == f"error: {tmp_path / 'nowhere'}: there is no such folder of runs\n"
