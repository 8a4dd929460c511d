"""Energy storage: who decides when batteries charge, the environment policies learn in, and the optimum to measure by.

Everything stands behind one protocol, :class:`~vpp_sim.ess.protocol.Controller`: the state of all batteries and a day
of foreseen net load and prices go in, powers for all batteries come out. Rules, policies and perfect foresight share
it, so a scenario changes one name and one conformance test covers them all.

- ``protocol`` - what goes in and what comes out.
- ``rules`` - idle, self-consumption, and thresholds of price.
- ``mpc`` - the cheapest plan for the forecast day, exact for all batteries at once without a solver.
- ``stochastic`` - the best step when the forecast may be wrong, by dynamic programming over the window.
- ``perfect_foresight`` - the linear programme: a day's window for a controller, a whole series for the yardstick.
- ``actions``, ``features`` - the discrete actions and the normalised observation, one code for learning and acting.
- ``episodes`` - series to learn from and the step that both environments take; ``tariffs`` - the prices among them.
- ``environment``, ``vector_environment``, ``parallel_environment`` - one battery for Gymnasium, many in one array for
  stable-baselines3, and a fleet of agents for PettingZoo.
- ``dynamic_programming``, ``cloning``, ``learning`` - labels by backward induction, and how a policy is made from them.
- ``settings``, ``checkpoint``, ``search`` - what a training is made of, how it goes on, and what suits best.
- ``curriculum`` - homes, tariffs and batteries put together for training and for trial.
- ``arbitrage`` - batteries that trade for themselves on a market, and what is known of its prices.
- ``outlook`` - what the past of a market's prices tells of coming ones.
- ``network``, ``weights``, ``policy`` - a trained network as matrix products, its card, and the controllers it makes.
- ``evaluation`` - any controller in closed loop over a series, and its share of the best possible saving.

Three things were turned down. *Continuous actions* for what ships: exploration sticks at the bounds of the state of
charge, and the optimum of a piecewise linear cost is nearly always one of a few actions (follow the meter, a share of
full power, or nothing); the environments offer them all the same. *One policy a home*: sizes enter the observation as
ratios, so one policy serves fleets of any size and homes it has never seen. *Learning from nothing*: states are
labelled by backward dynamic programming first; the reinforcement learner then starts from a policy that works and is
kept only if it earns more on the validation weeks. What follows: a policy file is a few matrices, and acting needs
neither torch nor stable-baselines3.

Importing this package loads no solver and no network library; the modules do when they are used.
"""

__all__ = [
    "actions",
    "arbitrage",
    "checkpoint",
    "cloning",
    "curriculum",
    "dynamic_programming",
    "environment",
    "episodes",
    "evaluation",
    "features",
    "learning",
    "mpc",
    "network",
    "outlook",
    "parallel_environment",
    "perfect_foresight",
    "policy",
    "protocol",
    "rules",
    "search",
    "settings",
    "stochastic",
    "tariffs",
    "vector_environment",
    "weights",
]
