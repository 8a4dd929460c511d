// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {MarketTerms} from "../types/MarketTypes.sol";
import {IMarketAccounts} from "./IMarketAccounts.sol";
import {IMarketSignatures} from "./IMarketSignatures.sol";
import {INettedSettlement} from "./INettedSettlement.sol";
import {IOperatorSeat} from "./IOperatorSeat.sol";
import {IPooledSettlement} from "./IPooledSettlement.sol";
import {IProofSettlement} from "./IProofSettlement.sol";

/// @title An energy market: one escrow, one ledger, three ways to settle
/// @notice Direct (two members, escrow, meter reading: `directTrades`), netted (one packed batch a period) and proof (one
/// Merkle root a period), all on the same accounts. Nothing can be upgraded: a new market is deployed, and members move their balances themselves.
interface IEnergyMarket is
    IMarketSignatures,
    IMarketAccounts,
    IOperatorSeat,
    IPooledSettlement,
    INettedSettlement,
    IProofSettlement
{
    /// @notice What the market was deployed with.
    /// @dev Anyone may call. Never changes state.
    /// @return The terms.
    function terms() external view returns (MarketTerms memory);
}
