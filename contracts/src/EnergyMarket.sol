// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IEnergyMarket} from "./interfaces/IEnergyMarket.sol";
import {MarketAccounts} from "./market/MarketAccounts.sol";
import {NettedSettlement} from "./market/NettedSettlement.sol";
import {OperatorSeat} from "./market/OperatorSeat.sol";
import {ProofSettlement} from "./market/ProofSettlement.sol";
import {MarketTerms} from "./types/MarketTypes.sol";

/// @title Energy market
/// @notice The escrow covers all obligations: the currency held here is never less than the sum of balances, locked money,
/// pots and the bond, and is equal to it unless somebody sends currency to this address outside of a deposit.
contract EnergyMarket is NettedSettlement, ProofSettlement, IEnergyMarket {
    /// @notice Deploys the market without money or operator, and its contract of direct trades.
    /// @param token The ERC-20 token to hold in escrow; not the zero address.
    /// @param members The registry of members, meters and roles; not the zero address.
    /// @param fixedTerms Periods, challenge window, bond and award; they never change.
    constructor(address token, address members, MarketTerms memory fixedTerms)
        MarketAccounts(token, members, fixedTerms.genesis, fixedTerms.periodLength)
        OperatorSeat(fixedTerms)
    {}

    /// @inheritdoc IEnergyMarket
    function terms() external view override returns (MarketTerms memory) {
        return MarketTerms(_genesis, _periodLength, _challengeWindow, _minimumBond, _award);
    }
}
