"""A small model of the energy market in plain Python integers, to compare the contracts with."""

from dataclasses import dataclass, field

from tests.contracts.market_world import AWARD, LIMIT_MICRO_EUR, MINIMUM_BOND, START_MICRO_EUR, line_amounts


@dataclass
class Deal:
    """A direct trade as the model keeps it."""

    buyer: int
    seller: int
    period: int
    energy: int
    ahead: int
    price: int
    penalty: int
    timeout_s: int

    @property
    def cost(self):
        return self.energy * self.price // 1000

    @property
    def collateral(self):
        return self.energy * self.penalty // 1000


@dataclass
class Model:
    """What the market should hold after each call; every method returns whether the call should succeed."""

    members: int
    balance: list = field(init=False)
    traded: list = field(init=False)
    limit: list = field(init=False)
    tokens: list = field(init=False)
    bond: int = 2 * MINIMUM_BOND
    paused: bool = False
    locked: int = 0
    settled: dict = field(default_factory=dict)
    pots: dict = field(default_factory=dict)
    closed: set = field(default_factory=set)
    readings: dict = field(default_factory=dict)
    promised: dict = field(default_factory=dict)
    deals: list = field(default_factory=list)

    def __post_init__(self):
        self.balance = [START_MICRO_EUR] * self.members
        self.traded = [0] * self.members
        self.limit = [LIMIT_MICRO_EUR] * self.members
        self.tokens = [0] * self.members

    @property
    def owed(self):
        return sum(self.balance) + self.locked + sum(self.pots.values()) + self.bond

    def withdraw(self, member, amount):
        if not 0 < amount <= self.balance[member]:
            return False
        self.balance[member] -= amount
        self.tokens[member] += amount
        return True

    def deposit(self, member, amount):
        if not 0 < amount <= self.tokens[member]:
            return False
        self.balance[member] += amount
        self.tokens[member] -= amount
        return True

    def open(self, deal, *, over):
        if self.paused or over or deal.buyer == deal.seller or deal.energy <= 0:
            return False
        if self.balance[deal.buyer] < deal.cost or self.balance[deal.seller] < deal.collateral:
            return False
        key = deal.seller, deal.period
        deal.ahead = self.promised.get(key, 0)
        self.promised[key] = deal.ahead + deal.energy
        self.balance[deal.buyer] -= deal.cost
        self.balance[deal.seller] -= deal.collateral
        self.locked += deal.cost + deal.collateral
        self.deals.append(deal)
        return True

    def record(self, member, period, energy, *, over):
        if not over or (member, period) in self.readings:
            return False
        self.readings[member, period] = energy
        return True

    def pay(self, deal):
        reading = self.readings.get((deal.seller, deal.period))
        if deal not in self.deals or reading is None:
            return False
        delivered = min(max(-reading - deal.ahead, 0), deal.energy)
        paid, penalty = line_amounts(delivered, deal.energy, deal.price, deal.penalty)
        self._end(deal, deal.cost - paid + penalty, deal.collateral - penalty + paid)
        self.traded[deal.buyer] += delivered
        self.traded[deal.seller] -= delivered
        return True

    def refund(self, deal, now_s):
        if deal not in self.deals or (deal.seller, deal.period) in self.readings or now_s < deal.timeout_s:
            return False
        self._end(deal, deal.cost, deal.collateral)
        return True

    def _end(self, deal, to_buyer, to_seller):
        self.deals.remove(deal)
        self.locked -= deal.cost + deal.collateral
        self.balance[deal.buyer] += to_buyer
        self.balance[deal.seller] += to_seller

    def may_settle(self, period, *, over):
        return not self.paused and over and period not in self.settled and self.bond >= MINIMUM_BOND

    def netted(self, period, lines, *, over):
        if not self.may_settle(period, over=over):
            return False
        if any(amount > min(self.limit[member], self.balance[member]) for member, amount, _ in lines):
            return False
        if sum(line[1] for line in lines) or sum(line[2] for line in lines):
            return False
        self.settled[period] = "netted"
        for member, amount, traded in lines:
            self.balance[member] -= amount
            self.traded[member] += traded
        return True

    def post(self, period, *, over):
        if not self.may_settle(period, over=over):
            return False
        self.settled[period] = "proof"
        return True

    def claim(self, period, line):
        member, amount, traded = line
        pot = self.pots.get(period, 0)
        if (
            (period, member) in self.closed
            or amount > min(self.limit[member], self.balance[member])
            or pot + amount < 0
        ):
            return False
        self.closed.add((period, member))
        self.pots[period] = pot + amount
        self.balance[member] -= amount
        self.traded[member] += traded
        return True

    def slash(self, member, amount):
        paid = min(self.bond, amount)
        self.bond -= paid
        self.balance[member] += paid

    def dispute(self, period, member, metered, line):
        _, amount, traded = line
        allowed = min(max(traded, min(metered, 0)), max(metered, 0))
        if (period, member) in self.closed or allowed == traded:
            return False
        self.closed.add((period, member))
        self.slash(member, max(amount, 0) * (traded - allowed) // traded + AWARD)
        return True

    def challenge(self, period, member, metered, line):
        if min(max(line[2], min(metered, 0)), max(metered, 0)) == line[2]:
            return False
        del self.settled[period]
        self.slash(member, MINIMUM_BOND)
        return True
