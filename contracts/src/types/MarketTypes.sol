// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {MicroEuro, MicroEuroPerKwh, WattHour} from "./Quantities.sol";

/// @dev What a market is deployed with; it never changes.
/// @param genesis Start of period 0, as Unix time [s].
/// @param periodLength Length of every period [s].
/// @param challengeWindow For how long a settlement can be disputed [s].
/// @param minimumBond Least bond that the operator settles with [micro-euro].
/// @param award What a proven breach costs the operator beside the damage [micro-euro].
struct MarketTerms {
    uint64 genesis;
    uint32 periodLength;
    uint32 challengeWindow;
    MicroEuro minimumBond;
    MicroEuro award;
}

/// @dev A signed offer or bid for a direct trade; it may be filled in parts.
/// @param maker Member who signs.
/// @param sells True for an offer, false for a bid.
/// @param period Period of delivery.
/// @param energy Most energy to trade [Wh].
/// @param price Price [micro-euro/kWh]: an offer's lowest, a bid's highest.
/// @param penalty What each kilowatt-hour that is not delivered costs the seller [micro-euro/kWh].
/// @param oracle Whose reading of the seller's meter both sides trust.
/// @param expiry Last moment to accept, as Unix time [s].
/// @param timeout From when a trade without a reading is refunded, as Unix time [s].
/// @param nonce Number of the maker's choice, to tell orders apart and to cancel all below one.
struct Order {
    uint32 maker;
    bool sells;
    uint64 period;
    WattHour energy;
    MicroEuroPerKwh price;
    MicroEuroPerKwh penalty;
    address oracle;
    uint64 expiry;
    uint64 timeout;
    uint64 nonce;
}

/// @dev A direct trade whose money is locked; the chain keeps its hash only.
/// @param buyer Member who pays.
/// @param seller Member who delivers.
/// @param meter The seller's meter.
/// @param oracle Who signs for the meter.
/// @param period Period of delivery.
/// @param energy What is to be delivered [Wh].
/// @param ahead What the meter must feed in before this trade is served [Wh]: trades are served in their order.
/// @param price Price of delivered energy [micro-euro/kWh].
/// @param penalty Price of energy that is not delivered [micro-euro/kWh].
/// @param timeout From when the trade is refunded if there is no reading, as Unix time [s].
struct Trade {
    uint32 buyer;
    uint32 seller;
    bytes32 meter;
    address oracle;
    uint64 period;
    WattHour energy;
    WattHour ahead;
    MicroEuroPerKwh price;
    MicroEuroPerKwh penalty;
    uint64 timeout;
}

/// @dev What a meter measured in a period, as its oracle signs it.
/// @param meter The meter.
/// @param period The period.
/// @param energy Net energy [Wh]: positive was drawn from the grid, negative was fed in.
struct Reading {
    bytes32 meter;
    uint64 period;
    WattHour energy;
}

/// @dev A member's signed order to the operator for netted and proven settlements; it binds once both have signed it.
/// @param member Member who signs.
/// @param operator Operator who signs.
/// @param firstPeriod First period that it holds in.
/// @param lastPeriod Last period that it holds in.
/// @param mostBought Most that may be bought in a period [Wh].
/// @param mostSold Most that may be sold in a period [Wh].
/// @param buyPrice Highest price for what is bought [micro-euro/kWh].
/// @param sellPrice Lowest price for what is sold [micro-euro/kWh].
/// @param allowance What else a period may cost, such as retail supply and fees [micro-euro].
struct Mandate {
    uint32 member;
    address operator;
    uint64 firstPeriod;
    uint64 lastPeriod;
    WattHour mostBought;
    WattHour mostSold;
    MicroEuroPerKwh buyPrice;
    MicroEuroPerKwh sellPrice;
    MicroEuro allowance;
}

/// @dev A mandate with both signatures.
/// @param mandate The mandate.
/// @param memberSignature The member's EIP-712 signature.
/// @param operatorSignature The operator's EIP-712 signature.
struct SignedMandate {
    Mandate mandate;
    bytes memberSignature;
    bytes operatorSignature;
}

/// @dev How a period was settled; the chain keeps its hash only.
/// @param period The period.
/// @param content Keccak-256 of the packed entries of a netted batch, or the Merkle root of a proven one.
/// @param settledAt When it was settled, as Unix time [s].
struct Settlement {
    uint64 period;
    bytes32 content;
    uint64 settledAt;
}

/// @dev A member's line in a settlement; in a Merkle tree, its balance leaf.
/// @param member Index of the member.
/// @param amount What it pays; negative is received [micro-euro].
/// @param traded What it bought; negative is sold [Wh].
struct Line {
    uint32 member;
    MicroEuro amount;
    WattHour traded;
}

/// @dev One trade in a Merkle tree.
/// @param buyer Member who bought.
/// @param seller Member who sold.
/// @param energy What was traded [Wh].
/// @param price Its price [micro-euro/kWh].
struct TradeLeaf {
    uint32 buyer;
    uint32 seller;
    WattHour energy;
    MicroEuroPerKwh price;
}
