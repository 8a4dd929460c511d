"""The chain section: which node, whose keys, and what does not fit together, named by file, line and key."""

import pytest

from vpp_sim.errors import ScenarioError
from vpp_sim.scenario.loader import load_scenario

TOY = """\
name: toy
clock: {start: "2017-07-03", days: 1, step: 15min}
prosumers:
  - group: homes
    data: {kind: fontana, homes: [1]}
chain:
  backend: revm
"""


def write(tmp_path, more):
    path = tmp_path / "toy.yaml"
    path.write_text(TOY.replace("  backend: revm\n", more), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (
            "  backend: rvm\n",
            "toy.yaml:7: chain.backend = rvm; expected a chain backend: eth_tester, revm, rpc; did you mean 'revm'?",
        ),
        (
            "  backend: revm\n  url: http://127.0.0.1:8545\n",
            "toy.yaml:8: chain.url = http://127.0.0.1:8545; expected no address, since revm runs inside the process; or"
            " backend: rpc",
        ),
        (
            "  backend: eth_tester\n  keys: environment\n",
            "toy.yaml:8: chain.keys = environment; expected development, since eth_tester runs inside the process; or"
            " backend: rpc",
        ),
        (
            "  backend: revm\n  allow_main_network: true\n",
            "toy.yaml:8: chain.allow_main_network = true; expected false, since revm runs inside the process; or"
            " backend: rpc",
        ),
        (
            "  backend: rpc\n  url: localhost:8545\n",
            "toy.yaml:8: chain.url = localhost:8545; expected the address of a node, for example http://127.0.0.1:8545",
        ),
        (
            "  backend: rpc\n  url: https://me:secret@node.example\n",
            "toy.yaml:8: chain.url = https://me:secret@node.example; expected an address without a password; put this"
            " one into VPP_SIM_CHAIN_URL",
        ),
        (
            "  backend: rpc\n  keys: file\n",
            "toy.yaml:8: chain.keys = file; expected one of development, environment or null",
        ),
        (
            "  backend: revm\n  settlement: barter\n",
            "toy.yaml:8: chain.settlement = barter; expected one of netted, proof, direct",
        ),
        (
            "  backend: rpc\n  key: '0xabc'\n",
            'toy.yaml:8: chain.key = "0xabc"; unknown key; allowed: backend, url, keys, allow_main_network, settlement,'
            " every, challenge_window, block_time, block_times, confirmations, resend_after, gas_price_gwei,"
            " native_eur, faults, deposit_eur; did you mean 'keys'?",
        ),
    ],
)
def test_a_mistake_is_named(tmp_path, more, complaint):
    with pytest.raises(ScenarioError) as caught:
        load_scenario(write(tmp_path, more))
    assert str(caught.value).replace(f"{tmp_path}/", "") == complaint


@pytest.mark.parametrize(
    ("more", "source"),
    [
        ("  backend: revm\n", "development"),
        ("  backend: rpc\n", "environment"),
        ("  backend: rpc\n  keys: development\n", "development"),
    ],
)
def test_keys_come_from_the_environment_unless_the_chain_is_inside(tmp_path, more, source):
    chain = load_scenario(write(tmp_path, more)).chain
    assert chain is not None
    assert chain.key_source == source
