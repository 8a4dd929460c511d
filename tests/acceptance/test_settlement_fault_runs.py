"""Runs on a chain that misbehaves: nothing is lost, nothing paid twice; and the judge sees it when it is otherwise."""

from dataclasses import replace

import pytest

from tests.support.studies import program

KINDS = ("netted", "proof", "direct")


@pytest.fixture(scope="module")
def study():
    return program("settlement", "faults")


def drawn(study, kind):
    """Return a seed, and the kinds to draw from, of a short run that settles so."""
    if kind == "direct":
        return 8, (kind,)
    return next(seed for seed in range(20) if study.plan_of(seed).kind == kind), study.KINDS


@pytest.fixture(scope="module", params=KINDS)
def settled(study, request):
    """Return a network on which all was settled, faults and all."""
    network = study.Network(study.plan_of(*drawn(study, request.param)))
    client = study.open_client(network.plan, network.chain, network.market.addresses(), study.Outbox())
    study.play(network, client)
    return network


def verdict_of(study, network):
    verdict = study.Verdict()
    study.judge(network, verdict)
    return verdict.lost, verdict.paid_twice, verdict.unreconciled


def pays(network, receipts):
    """Return whether a batch or claims are among receipts, and nothing of direct trades, on which batches depend."""
    names = [event.name for receipt in receipts for event in network.market.market.events(receipt)]
    trades = [event.name for receipt in receipts for event in network.market.direct.events(receipt)]
    return not {"PeriodSettled", "LineClaimed"}.isdisjoint(names) and not trades


def tampered(network, change, pays=pays):
    """Return the canonical blocks with the receipts of the first one that pays replaced."""
    number = next(n for n in sorted(network.canonical) if pays(network, network.canonical[n].receipts))
    block = network.canonical[number]
    return network.canonical | {number: replace(block, receipts=change(block.receipts))}


def test_what_was_settled_through_faults_is_right(study, settled):
    assert verdict_of(study, settled) == (0, 0, False)
    counts = settled.chain.counts
    assert counts["transactions dropped"] + counts["transactions delayed"] > 0


def test_the_judge_sees_a_wrong_ledger(study, settled, monkeypatch):
    truth = study.statements_of(settled.plan)
    wrong = [*truth[1:], replace(truth[0], amount_micro_eur=truth[0].amount_micro_eur * 2)]
    monkeypatch.setattr(study, "statements_of", lambda plan: wrong)
    lost, paid_twice, unreconciled = verdict_of(study, settled)
    assert lost == paid_twice >= 1  # what was owed did not come, and what came was not owed
    assert unreconciled


def test_the_judge_sees_a_payment_that_is_missing_or_doubled(study, settled, monkeypatch):
    truth, found = settled.canonical, []
    monkeypatch.setattr(settled, "canonical", tampered(settled, lambda receipts: found.extend(receipts) or ()))
    # a batch is one event that pays; a claim is one an account
    events = [event for receipt in found for event in settled.market.market.events(receipt)]
    payments = sum(event.name in ("PeriodSettled", "LineClaimed") for event in events)
    assert verdict_of(study, settled) == (payments, 0, False)
    monkeypatch.setattr(settled, "canonical", truth)
    monkeypatch.setattr(settled, "canonical", tampered(settled, lambda receipts: receipts * 2))
    assert verdict_of(study, settled) == (0, payments, False)
    assert payments >= 1


@pytest.mark.parametrize("settled", ["direct"], indirect=True)
def test_the_judge_sees_a_trade_that_was_never_agreed_or_is_not_paid(study, settled, monkeypatch):
    assert study.Direct.read(settled).opened
    with monkeypatch.context() as less:
        less.setattr(study, "trades_of", lambda plan, period: [])
        lost, paid_twice, _ = verdict_of(study, settled)
        assert (lost, paid_twice) == (0, len(study.Direct.read(settled).opened))

    def settles(network, receipts):
        events = [event.name for receipt in receipts for event in network.market.direct.events(receipt)]
        return "TradeSettled" in events

    monkeypatch.setattr(settled, "canonical", tampered(settled, lambda receipts: (), settles))
    assert verdict_of(study, settled)[0] >= 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_client_that_is_killed_again_and_again_goes_on(study, kind):
    verdict = study.run_killed(*drawn(study, kind))
    assert (verdict.lost, verdict.paid_twice, verdict.unreconciled, verdict.remarks) == (0, 0, False, [])
    assert verdict.kills >= 2
