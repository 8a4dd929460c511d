"""The settler of a run: its chain opened and its contracts deployed, as the scenario's ``chain`` section says."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from vpp_sim.agents.settler import Settler
from vpp_sim.chain.block_times import BlockTimes
from vpp_sim.chain.event_log import EventLog
from vpp_sim.chain.faults import FaultSchedule, Occasions
from vpp_sim.chain.journal import JournaledChain
from vpp_sim.chain.market import OFFICERS, Market, Terms
from vpp_sim.chain.opening import NodeAccess, open_chain
from vpp_sim.chain.outbox import Outbox
from vpp_sim.chain.protocol import Chain
from vpp_sim.chain.record import ChainRecord
from vpp_sim.chain.settlement import SettlementClient, open_market
from vpp_sim.chain.unreliable import UnreliableChain
from vpp_sim.errors import UserError
from vpp_sim.kernel.clock import Clock
from vpp_sim.kernel.randomness import Streams
from vpp_sim.kernel.recorder import Recorder
from vpp_sim.kernel.world import World
from vpp_sim.registry import CHAIN_BACKENDS
from vpp_sim.runs.chain_check import CHAIN_RECORD
from vpp_sim.scenario.sections.chain_faults import ChainFaultsSpec, RecurringSpec
from vpp_sim.scenario.sections.grid import ChainSpec
from vpp_sim.units import MICRO_EUR_PER_EUR, SECONDS_PER_HOUR, WEI_PER_GWEI, to_micro_eur

__all__ = ["open_settler"]

_BOND_MICRO_EUR, _AWARD_MICRO_EUR = 1_000 * MICRO_EUR_PER_EUR, MICRO_EUR_PER_EUR
"""What the operator pledges, and what a proven breach costs it beside the damage."""
_SETUP_S = SECONDS_PER_HOUR
"""The chain's genesis lies this long before the start; contracts are deployed in between."""
_OUTBOX = "outbox.sqlite"


def open_settler(
    spec: ChainSpec,
    world: World,
    clock: Clock,
    *,
    seed: int,
    accounts: tuple[str, ...],
    recorder: Recorder,
    folder: Path,
    now_s: Callable[[], int],
) -> Settler:
    """Return the settler, with its contracts deployed in the hour before the start.

    Parameters
    ----------
    spec : ChainSpec
        The scenario's section.
    world, clock, recorder
        Of the run.
    seed : int
        The scenario's.
    accounts : tuple of str
        Names of the ledger's accounts.
    folder : Path
        The run's, for the record that a check of the chain needs.
    now_s : callable
        Returns the time from the start of the run [s].

    Raises
    ------
    ChainError
        If the node, its network or the keys will not do, or a contract refuses.
    UserError
        If faults are asked of a node that has block producers of its own.
    """
    start_s = int(clock.start.timestamp())
    streams = Streams(seed)
    journal = JournaledChain(_chain(spec, seed, len(accounts) + OFFICERS, start_s - _SETUP_S))
    deposits = np.full(len(accounts), to_micro_eur(np.array([spec.deposit_eur]))[0], dtype=np.int64)
    outbox = Outbox(None if spec.inside_the_process else folder / _OUTBOX)
    terms = Terms(start_s, spec.every, spec.challenge_window, _BOND_MICRO_EUR, _AWARD_MICRO_EUR)
    market = open_market(journal, outbox, terms=terms, initial_micro_eur=deposits)
    schedule = _schedule(spec.faults, streams.generator("chain faults"), start_s, clock.duration_s)
    network = _network(spec, journal, schedule, streams, lambda: start_s + now_s())
    client = SettlementClient(
        Market.at(network, market.addresses()),
        names=accounts,
        initial_micro_eur=deposits,
        kind=spec.settlement,
        confirmations=spec.confirmations,
        patience_s=spec.resend_after,
        outbox=outbox,
    )

    def remember() -> None:
        record = ChainRecord.of(
            journal,
            backend=spec.backend,
            seed=seed,
            genesis_timestamp_s=start_s - _SETUP_S,
            step_s=clock.step_s,
            contracts=market.addresses(),
            names=accounts,
        )
        (folder / CHAIN_RECORD).write_text(record.to_json(), encoding="utf-8")

    return Settler(
        world,
        clock,
        client=client,
        network=network,
        next_block_s=BlockTimes(spec.block_time, spec.block_times, streams.generator("block times")).after,
        initial_micro_eur=int(deposits[0]),
        every_s=spec.every,
        native_eur=spec.native_eur,
        recorder=recorder,
        journal=journal,
        log=EventLog(market.addresses(), accounts),
        kept_blocks=schedule.deepest,
        on_finish=remember,
    )


def _chain(spec: ChainSpec, seed: int, accounts: int, genesis_s: int) -> Chain:
    """Return the chain itself, which does not misbehave."""
    chain = open_chain(
        CHAIN_BACKENDS.load(spec.backend),
        accounts=accounts,
        seed=seed,
        genesis_timestamp_s=genesis_s,
        access=NodeAccess(spec.url, spec.key_source, spec.allow_main_network, os.environ),
    )
    if spec.faults is not None and not getattr(chain, "mines_on_demand", True):
        raise UserError("chain.faults: this node mines blocks by itself, so its faults are its own; leave them out")
    return chain


def _network(
    spec: ChainSpec, journal: JournaledChain, schedule: FaultSchedule, streams: Streams, now_s: Callable[[], int]
) -> Chain:
    """Return the chain as the network and the settling node are: with the scenario's price of gas and its faults."""
    if not spec.inside_the_process and spec.faults is None:
        return journal
    return UnreliableChain(
        journal,
        schedule,
        streams.generator("chain transactions"),
        block_time_s=spec.block_time,
        gas_price_wei=round(spec.gas_price_gwei * WEI_PER_GWEI) if spec.inside_the_process else 0,
        now=now_s,
    )


def _schedule(spec: ChainFaultsSpec | None, rng: np.random.Generator, start_s: int, duration_s: int) -> FaultSchedule:
    if spec is None:
        return FaultSchedule(start_s=start_s)
    spikes, outages, reorganisations = spec.fee_spikes, spec.outages, spec.reorganisations
    return FaultSchedule.draw(
        rng,
        start_s=start_s,
        duration_s=duration_s,
        dropped_share=spec.dropped_share,
        delayed_share=spec.delayed_share,
        delay_s=spec.delay,
        fee_spikes=_occasions(spikes),
        spike_s=spikes.lasts if spikes else 0,
        spike_factor=spikes.factor if spikes else 1.0,
        outages=_occasions(outages),
        outage_s=outages.lasts if outages else 0,
        reorganisations=_occasions(reorganisations),
        depth=reorganisations.depth if reorganisations else 1,
    )


def _occasions(spec: RecurringSpec | None) -> Occasions | None:
    return None if spec is None else Occasions(spec.per_day, spec.at)
