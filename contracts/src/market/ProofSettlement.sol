// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";

import {IProofSettlement} from "../interfaces/IProofSettlement.sol";
import {LineRules} from "../libraries/LineRules.sol";
import {MarketHashes} from "../libraries/MarketHashes.sol";
import {Account} from "../types/Account.sol";
import {Line, Settlement, SignedMandate, TradeLeaf} from "../types/MarketTypes.sol";
import {MicroEuro, WattHour, ZERO_MICRO_EURO} from "../types/Quantities.sol";
import {PooledSettlement} from "./PooledSettlement.sol";

/// @title Proven settlement
abstract contract ProofSettlement is PooledSettlement, IProofSettlement {
    bytes32 private constant PROOF = keccak256("proof");

    mapping(uint64 period => MicroEuro) private _pots;

    /// @inheritdoc IProofSettlement
    function postRoot(uint64 period, bytes32 root) external override whenNotPaused {
        if (root == bytes32(0)) revert MarketInvalidRoot();
        _commit(PROOF, period, root);
        emit RootPosted(period, root);
    }

    /// @inheritdoc IProofSettlement
    function challengeByMandate(
        Settlement calldata settlement,
        Line calldata line,
        bytes32[] calldata proof,
        SignedMandate calldata evidence
    ) external override {
        _requireChallengeable(settlement, line, proof);
        _requireMandate(evidence, line.member, settlement.period);
        // A void root moves no money, so the overcharge does not matter.
        // slither-disable-next-line unused-return
        (bool broken,) = LineRules.againstMandate(line, evidence.mandate);
        _reject(settlement, line.member, broken);
    }

    /// @inheritdoc IProofSettlement
    function challengeByReading(Settlement calldata settlement, Line calldata line, bytes32[] calldata proof)
        external
        override
    {
        _requireChallengeable(settlement, line, proof);
        // A void root moves no money, so the overcharge does not matter.
        // slither-disable-next-line unused-return
        (bool broken,) = LineRules.againstReading(line, _requireReadingOf(line.member, settlement.period));
        _reject(settlement, line.member, broken);
    }

    /// @inheritdoc IProofSettlement
    function claim(Settlement calldata settlement, Line calldata line, bytes32[] calldata proof) external override {
        _requireClosedWindow(PROOF, settlement);
        _requireLeaf(settlement, line, proof);
        _closeLine(settlement.period, line.member);
        Account account = _account(line.member);
        MicroEuro limit = MicroEuro.wrap(int128(account.limitOf()));
        if (limit < line.amount) revert MarketDebitLimitExceeded(line.member, limit, line.amount);
        MicroEuro pot = _pots[settlement.period];
        if (pot + line.amount < ZERO_MICRO_EURO) revert MarketPotTooSmall(pot, ZERO_MICRO_EURO - line.amount);
        _bookLine(settlement.period, line, account, pot);
    }

    /// @inheritdoc IProofSettlement
    function claimMany(
        Settlement calldata settlement,
        Line[] calldata lines,
        bytes32[] calldata proof,
        bool[] calldata flags
    ) external override returns (uint256 booked) {
        _requireClosedWindow(PROOF, settlement);
        _requireLeaves(settlement, lines, proof, flags);
        booked = _bookLines(settlement.period, lines, true);
        booked += _bookLines(settlement.period, lines, false);
    }

    /// @inheritdoc IProofSettlement
    function verifyTrade(Settlement calldata settlement, TradeLeaf calldata trade, bytes32[] calldata proof)
        external
        view
        override
        returns (bool)
    {
        bytes32 leaf = MarketHashes.tradeLeaf(settlement.period, trade);
        return _isSettledBy(PROOF, settlement) && MerkleProof.verifyCalldata(proof, settlement.content, leaf);
    }

    /// @inheritdoc IProofSettlement
    function potOf(uint64 period) external view override returns (MicroEuro) {
        return _pots[period];
    }

    /// @dev Books those of the lines that can be booked, either the debits or the others.
    function _bookLines(uint64 period, Line[] calldata lines, bool debits) private returns (uint256 booked) {
        for (uint256 i = 0; i < lines.length; ++i) {
            Line calldata line = lines[i];
            if ((ZERO_MICRO_EURO < line.amount) != debits || isClosed(period, line.member)) continue;
            Account account = _account(line.member);
            MicroEuro pot = _pots[period];
            int256 amount = MicroEuro.unwrap(line.amount);
            if (account.limitOf() < amount || account.balanceOf() < amount) continue;
            if (pot + line.amount < ZERO_MICRO_EURO) continue;
            _closeLine(period, line.member);
            _bookLine(period, line, account, pot);
            ++booked;
        }
    }

    /// @dev Books a line that was just closed against the pot.
    function _bookLine(uint64 period, Line calldata line, Account account, MicroEuro pot) private {
        _pots[period] = pot + line.amount;
        _book(line.member, account, MicroEuro.unwrap(line.amount), WattHour.unwrap(line.traded));
        emit LineClaimed(period, line.member, line.amount);
    }

    /// @dev Voids a root with a broken line, and pays the line's member out of the bond.
    function _reject(Settlement calldata settlement, uint32 member, bool broken) private {
        if (!broken) revert MarketLineKept(member);
        _void(settlement.period);
        emit RootVoided(settlement.period, settlement.content);
        _slash(member, _minimumBond);
    }

    /// @dev Reverts unless the line stands in a root that can still be challenged.
    function _requireChallengeable(Settlement calldata settlement, Line calldata line, bytes32[] calldata proof)
        private
        view
    {
        _requireOpenWindow(PROOF, settlement);
        _requireLeaf(settlement, line, proof);
    }

    /// @dev Reverts unless the line is a leaf under the root.
    function _requireLeaf(Settlement calldata settlement, Line calldata line, bytes32[] calldata proof) private pure {
        bytes32 leaf = MarketHashes.balanceLeaf(settlement.period, line);
        if (!MerkleProof.verifyCalldata(proof, settlement.content, leaf)) revert MarketInvalidProof(settlement.period);
    }

    /// @dev Reverts unless all lines are leaves under the root.
    function _requireLeaves(
        Settlement calldata settlement,
        Line[] calldata lines,
        bytes32[] calldata proof,
        bool[] calldata flags
    ) private pure {
        bytes32[] memory leaves = new bytes32[](lines.length);
        for (uint256 i = 0; i < lines.length; ++i) {
            leaves[i] = MarketHashes.balanceLeaf(settlement.period, lines[i]);
        }
        if (!MerkleProof.multiProofVerifyCalldata(proof, flags, settlement.content, leaves)) {
            revert MarketInvalidProof(settlement.period);
        }
    }
}
