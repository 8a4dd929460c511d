"""A second client, web3, sees what ours sees."""

from web3 import EthereumTesterProvider, Web3

from tests.contracts.market_world import START_MICRO_EUR
from vpp_sim.chain.contract import load_artifact


def test_web3_reads_the_same_balances_and_receipts(place):
    _, batch = place.settle(0, (0, 30, 0), (2, -30, 0))
    receipt = list(place.chain._receipts.values())[-1]

    web3 = Web3(EthereumTesterProvider(place.chain.tester))
    contract = web3.eth.contract(address=place.market.address, abi=load_artifact("EnergyMarket").abi)
    words = contract.functions.accounts(0, 100).call()
    assert [word >> 160 for word in words] == [START_MICRO_EUR + gain for gain in (-30, 0, 30, 0)]
    assert list(place.balances()) == [word >> 160 for word in words]
    theirs = web3.eth.get_transaction_receipt(receipt.transaction)
    assert (theirs["status"], theirs["gasUsed"]) == (1, receipt.gas_used)
    assert theirs["blockNumber"] == receipt.block_number == web3.eth.block_number
    assert web3.eth.get_block("latest")["timestamp"] == receipt.timestamp_s == place.chain.timestamp_s
    (event,) = contract.events.PeriodSettled().process_receipt(theirs)
    (ours,) = place.market.events(receipt)
    assert dict(event["args"]) == ours.arguments
    assert (ours.arguments["period"], ours.arguments["digest"]) == (0, Web3.keccak(batch))
