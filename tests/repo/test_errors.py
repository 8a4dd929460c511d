"""Every error survives what happens to it: pickled between processes, and built anew from its arguments by SimPy."""

import importlib
import pickle
import pkgutil
from collections.abc import Iterator

import pytest

import vpp_sim
from vpp_sim.errors import ScenarioProblem, VppSimError

for found in pkgutil.walk_packages(vpp_sim.__path__, "vpp_sim."):
    importlib.import_module(found.name)

PROBLEM = ScenarioProblem("a.yaml", 3, "clock.dais", "1", "unknown key", "days")

SAMPLES: dict[str, tuple[tuple[object, ...], str]] = {
    "vpp_sim.chain.contract.RevertedError": (
        ("call of settle", "SettlementPeriodAlreadySettled", {"period": 0}),
        "call of settle reverted: SettlementPeriodAlreadySettled(period=0)",
    ),
    "vpp_sim.chain.json_rpc.RpcError": (
        ("eth_call", "out of gas", {"gas": 5}),
        "the node answered eth_call with: out of gas",
    ),
    "vpp_sim.chain.protocol.CallRevertedError": ((b"\x01\xff",), "call reverted with 0x01ff"),
    "vpp_sim.chain.protocol.NodeDownError": (("the node does not answer",), "the node does not answer"),
    "vpp_sim.chain.protocol.TransactionRefusedError": (
        ("0xab", "nonce 3 is too low"),
        "transaction 0xab refused: nonce 3 is too low",
    ),
    "vpp_sim.errors.ChainError": (("a",), "a"),
    "vpp_sim.errors.ConservationError": (
        (3, "feeder", 0.5, "kWh"),
        "tick 3: feeder is out of balance by 0.5 kWh",
    ),
    "vpp_sim.errors.DataError": (("a",), "a"),
    "vpp_sim.errors.PhysicsError": (("a",), "a"),
    "vpp_sim.errors.ScenarioError": (
        ((PROBLEM,),),
        "a.yaml:3: clock.dais = 1; unknown key; did you mean 'days'?",
    ),
    "vpp_sim.errors.SimulationError": (("a",), "a"),
    "vpp_sim.errors.SolveError": (("a",), "a"),
    "vpp_sim.errors.UnknownNameError": (
        ("forecaster", "lstn", ("lstm",)),
        "unknown forecaster 'lstn'; allowed: lstm; did you mean 'lstm'?",
    ),
    "vpp_sim.errors.UserError": (("a",), "a"),
    "vpp_sim.errors.VppSimError": (("a",), "a"),
    "vpp_sim.errors.WriterError": (("a",), "a"),
    "vpp_sim.network.power_flow.PowerFlowError": (
        ("cigre_lv", (4, 7, 9), "no convergence"),
        "power flow of cigre_lv has no solution at step 4 and 2 more: no convergence",
    ),
    "vpp_sim.scenario.sections.spec.RefusalError": (
        ("expected x <= y", ("x", "y"), "z"),
        "expected x <= y; did you mean 'z'?",
    ),
    "vpp_sim.server.problems.RequestError": (
        (404, "unknown run", "there is no run 'ab'", "abc"),
        "there is no run 'ab'; did you mean 'abc'?",
    ),
}
"""Arguments of every public error, and its message."""


def errors_of(root: type[BaseException]) -> Iterator[type[BaseException]]:
    yield root
    for child in root.__subclasses__():
        yield from errors_of(child)


def full_name(error: type[BaseException]) -> str:
    return f"{error.__module__}.{error.__qualname__}"


ERRORS = {
    full_name(error): error
    for error in errors_of(Exception)
    if error.__module__.split(".")[0] == "vpp_sim" and not error.__name__.startswith("_")
}


def test_every_error_has_a_sample() -> None:
    assert {full_name(error) for error in errors_of(VppSimError) if error.__module__.startswith("vpp_sim.")} <= set(
        ERRORS
    )
    assert set(ERRORS) == set(SAMPLES)


@pytest.mark.parametrize("name", SAMPLES)
def test_an_error_survives(name: str) -> None:
    arguments, message = SAMPLES[name]
    error = ERRORS[name](*arguments)
    assert str(error) == message
    again = (
        pickle.loads(pickle.dumps(error)),
        type(error)(*error.args),  # as simpy.Process does
        pickle.loads(pickle.dumps(type(error)(*error.args))),
    )
    for copy in again:
        assert type(copy) is type(error)
        assert str(copy) == message
        assert copy.args == error.args
        assert vars(copy) == vars(error)
