"""Who knew what, when: what a run says of the information its forecasters, desks and controllers had."""

from __future__ import annotations

from vpp_sim.agents.inputs import Inputs, Models
from vpp_sim.kernel.clock import Clock
from vpp_sim.registry import RETAIL_PRICERS
from vpp_sim.scenario.scenario import Scenario
from vpp_sim.scenario.sections.trading import RetailSpec
from vpp_sim.units import SECONDS_PER_HOUR, format_duration

__all__ = ["information", "samples"]


def information(scenario: Scenario, inputs: Inputs, models: Models) -> dict[str, str]:
    """Return a sentence for each who acts on information, for each trained model, and for each home with a caveat."""
    return (
        _desks(scenario)
        | _foresight(scenario, inputs, models)
        | samples(models, inputs.clock)
        | {f"{home}, which its source does not recommend": why for home, why in inputs.fleet.flags.items()}
    )


def _desks(scenario: Scenario) -> dict[str, str]:
    """Say what desks, controllers and homes knew when they acted."""
    gate = scenario.market.wholesale.gate_closure
    acts = {
        "after_meter": "knows this step's metered load and sun when it acts, as an inverter does",
        "before_meter": "knows only the forecast of this step when it acts",
    }
    truth = scenario.ess.kind == "perfect_foresight"
    return {
        "storage": f"{scenario.ess.kind} {acts[scenario.ess.acts]}; beyond this step it sees "
        + ("the truth of the coming day (no real controller can)" if truth else "median forecasts")
        + " and published prices; hours without a published price repeat the day before",
        "day-ahead bids": f"due at {gate} local time on the day before, before prices are known, from the forecast "
        f"issued then, by {scenario.pricing.wholesale.kind}",
        "imbalance": _imbalance(scenario),
        "intraday trades": _intraday(scenario),
        "retail prices": f"set for a whole day one hour after {gate} on the day before, with day-ahead prices known, "
        "on the load forecast then; it is taken for that at the default tariff, although meters showed what homes "
        "answered to earlier prices, and batteries are planned under the prices known before: that they follow the new "
        "ones is not foreseen",
        "demand response": "homes know the prices of the whole day and their own load as it comes",
        "local market": "none"
        if scenario.market.local.kind == "none"
        else f"homes bid their metered net energy of this step, {scenario.market.local.bidding}",
        "elasticity of demand": _belief(scenario.pricing.retail),
    }


def _belief(retail: RetailSpec) -> str:
    """Say what the retail desk believes of demand."""
    if "elasticity" not in RETAIL_PRICERS.load(retail.kind).heeds:
        return f"plays no part in {retail.kind} prices"
    if not retail.learns_elasticity:
        return f"believed to be {retail.elasticity:g}"
    return (
        f"believed to be {retail.elasticity:g} at first, and learnt from each day's meters and what was foreseen "
        "before its prices were set, once the day is over; while no home may pay more than by default, the size of one "
        "elasticity for all hours does not move prices"
    )


def _imbalance(scenario: Scenario) -> str:
    """Say who pays what for imbalance, by which law, and who knows of it."""
    spec = scenario.market.wholesale
    short, long = (f"{100 * share:g} % of its size" for share in (spec.short_spread, spec.long_spread))
    if spec.imbalance == "both_sides":
        return f"who is short pays the day-ahead price and {short}, who is long is paid {long} less; nothing is drawn"
    payer = (
        "who adds to the system's imbalance meets the balancing price, who leans against it the day-ahead price"
        if spec.imbalance == "two_prices"
        else "either side meets the balancing price, so that leaning against the system earns"
    )
    return (
        f"{payer}; the system is short in an hour with probability {spec.system_short_share:g}, and the balancing "
        f"price is then the day-ahead price and {short}, else {long} less; the desks know this law, and no state "
        "before its hour is over"
    )


def _intraday(scenario: Scenario) -> str:
    """Say when the plant trades on after the auction, and at what price."""
    spec = scenario.market.wholesale.intraday
    if spec is None:
        return "none: whatever changes after the gate is imbalance"
    when = "with the last forecast before a step closes" if spec.trades == "last_forecast" else "with each new forecast"
    return (
        f"made {when}, from it and the plan for the batteries, for steps whose auction is published and that begin "
        f"more than {format_duration(spec.lead)} later; assumed to be possible in any amount at the day-ahead price "
        f"and {spec.half_spread_eur_per_kwh + spec.fee_eur_per_kwh:g} EUR/kWh; made only where that is less than the "
        "imbalance it is expected to save"
    )


def _foresight(scenario: Scenario, inputs: Inputs, models: Models) -> dict[str, str]:
    """Say what the forecasters knew, and which of them are bounds and no forecasts."""
    spec = scenario.forecasting
    told = {"load": (spec.demand.kind, models.demand), "sun": (spec.solar.kind, models.solar)}
    bounds = [f"{kind} for {series}" for series, (kind, model) in told.items() if model.needs_truth]
    warning = f"; {' and '.join(bounds)} IS TOLD what will happen: a bound, and no real forecast" if bounds else ""
    return {
        "forecasts": f"{spec.demand.kind} for load and {spec.solar.kind} for sun, issued every "
        f"{format_duration(spec.every)} and when bids are due, from meter and weather readings before their issue, the "
        f"calendar, and the weather forecast known then{warning}",
        "weather forecast": f"{inputs.weather_forecast.note}"
        + (
            ""
            if spec.weather.kind == "perfect"
            else f"; each run is known {format_duration(spec.weather.delay)} after its start"
        ),
        "calibration of forecasts": "conformal: quantiles are widened or narrowed by what was metered before each issue"
        if spec.calibration == "conformal"
        else "none: quantiles are those that the models give",
    }


def samples(models: Models, clock: Clock) -> dict[str, str]:
    """Say of each trained model what it was fitted and chosen on, and whether the run lies outside of that."""
    first, last = (clock.stamps(step, 1)[0].date().isoformat() for step in (0, clock.n_steps - 1))
    found = {}
    for role, card in models.cards.items():
        fitted, chosen = card["splits"]["train"], card["splits"]["validation"]
        if card.get("fitting", {}).get("refit"):  # once its rounds were chosen, learned again with the days that chose
            fitted = [fitted[0], chosen[1]]
        overlaps = first <= max(fitted[1], chosen[1]) and last >= min(fitted[0], chosen[0])
        found[f"{role} model"] = (
            f"{card['kind']}, fitted on {fitted[0]} to {fitted[1]}, chosen on {chosen[0]} to {chosen[1]}; "
            + ("this run OVERLAPS them, so its results flatter the model" if overlaps else "this run is out of sample")
            + ("" if clock.step_s == SECONDS_PER_HOUR else f"; trained on steps of an hour, used on {clock.step_s} s")
        )
    return found
