// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Nonces} from "@openzeppelin/contracts/utils/Nonces.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {DirectTrades} from "../DirectTrades.sol";
import {IMarketAccounts} from "../interfaces/IMarketAccounts.sol";
import {MarketHashes} from "../libraries/MarketHashes.sol";
import {Account} from "../types/Account.sol";
import {MicroEuro, WattHour, ZERO_MICRO_EURO, ZERO_WATT_HOUR} from "../types/Quantities.sol";
import {MarketSignatures} from "./MarketSignatures.sol";

/// @title Escrow, accounts and pause
/// @dev The currency must move exactly what it is told to (no fee on transfer), as `SettlementCurrency` does.
abstract contract MarketAccounts is MarketSignatures, Nonces, Pausable, ReentrancyGuardTransient, IMarketAccounts {
    using SafeERC20 for IERC20;

    IERC20 private immutable _currency;
    DirectTrades internal immutable _directTrades;
    bytes32 internal immutable _operatorRole;
    bytes32 private immutable _guardianRole;

    MicroEuro private _totalEscrow;
    MicroEuro private _totalLocked;
    mapping(uint32 member => Account) private _accounts;

    /// @dev Takes currency, registry and the times of periods; deploys the contract of direct trades.
    constructor(address token, address members, uint64 genesis, uint32 periodLength)
        MarketSignatures("EnergyMarket", members)
    {
        if (token == address(0)) revert MarketInvalidTerms();
        _currency = IERC20(token);
        _operatorRole = _registry.OPERATOR_ROLE();
        _guardianRole = _registry.GUARDIAN_ROLE();
        _directTrades = new DirectTrades(members, genesis, periodLength);
    }

    /// @inheritdoc IMarketAccounts
    function deposit(MicroEuro amount) external override nonReentrant {
        _depositTo(_registry.memberOf(msg.sender), amount);
        _takeIntoEscrow(amount);
    }

    /// @inheritdoc IMarketAccounts
    function depositWithPermit(MicroEuro amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external
        override
        nonReentrant
    {
        _depositTo(_registry.memberOf(msg.sender), amount);
        // A permit that was front-run has already given the allowance; without one, the transfer reverts and says why.
        try IERC20Permit(address(_currency)).permit(msg.sender, address(this), amount.toUint256(), deadline, v, r, s) {}
            catch {}
        _takeIntoEscrow(amount);
    }

    /// @inheritdoc IMarketAccounts
    function depositFor(uint32[] calldata members, MicroEuro[] calldata amounts) external override nonReentrant {
        if (members.length != amounts.length) revert MarketInvalidLengths(members.length, amounts.length);
        uint32 count = _registry.memberCount();
        MicroEuro total = ZERO_MICRO_EURO;
        for (uint256 i = 0; i < members.length; ++i) {
            if (members[i] >= count) revert MarketInvalidMember(members[i]);
            _depositTo(members[i], amounts[i]);
            total = total + amounts[i];
        }
        _takeIntoEscrow(total);
    }

    /// @inheritdoc IMarketAccounts
    function withdraw(MicroEuro amount) external override nonReentrant {
        uint32 member = _registry.memberOf(msg.sender);
        _requirePositive(amount);
        _debit(member, amount);
        emit Withdrawn(member, amount);
        _payOut(msg.sender, amount);
    }

    /// @inheritdoc IMarketAccounts
    function setDebitLimit(MicroEuro limit) external override {
        _setDebitLimit(_registry.memberOf(msg.sender), limit);
    }

    /// @inheritdoc IMarketAccounts
    function setDebitLimitFor(uint32 member, MicroEuro limit, uint64 deadline, bytes calldata signature)
        external
        override
    {
        if (deadline < block.timestamp) revert MarketExpired(deadline);
        address account = _registry.accountOf(member);
        bytes32 hash =
            MarketHashes.hashDebitLimit(member, MicroEuro.unwrap(limit), _useNonce(account), deadline);
        _requireSignature(account, hash, signature);
        _setDebitLimit(member, limit);
    }

    /// @inheritdoc IMarketAccounts
    function pause() external override {
        _requireRole(_guardianRole);
        _pause();
    }

    /// @inheritdoc IMarketAccounts
    function unpause() external override {
        _requireRole(_guardianRole);
        _unpause();
    }

    /// @inheritdoc IMarketAccounts
    function lockTrade(uint32 buyer, MicroEuro cost, uint32 seller, MicroEuro collateral)
        external
        override
        whenNotPaused
    {
        _requireDirectTrades();
        _debit(buyer, cost);
        _debit(seller, collateral);
        _totalLocked = _totalLocked + cost + collateral;
    }

    /// @inheritdoc IMarketAccounts
    function releaseTrade(uint32 buyer, MicroEuro toBuyer, uint32 seller, MicroEuro toSeller, WattHour delivered)
        external
        override
    {
        _requireDirectTrades();
        MicroEuro released = toBuyer + toSeller;
        if (_totalLocked < released) revert MarketInvalidAmount(released);
        _totalLocked = _totalLocked - released;
        _credit(buyer, toBuyer, delivered);
        _credit(seller, toSeller, ZERO_WATT_HOUR - delivered);
    }

    /// @inheritdoc IMarketAccounts
    function currency() external view override returns (address) {
        return address(_currency);
    }

    /// @inheritdoc IMarketAccounts
    function accountOf(uint32 member)
        external
        view
        override
        returns (MicroEuro balance, WattHour traded, MicroEuro limit)
    {
        Account account = _accounts[member];
        balance = MicroEuro.wrap(int128(account.balanceOf()));
        traded = WattHour.wrap(int128(account.tradedOf()));
        limit = MicroEuro.wrap(int128(account.limitOf()));
    }

    /// @inheritdoc IMarketAccounts
    function accounts(uint32 first, uint32 most) external view override returns (Account[] memory page) {
        uint256 end = Math.min(_registry.memberCount(), uint256(first) + most);
        if (end <= first) return page;
        uint256 count = end - first;
        page = new Account[](count);
        for (uint256 i = 0; i < count; ++i) page[i] = _accounts[first + uint32(i)];
    }

    /// @inheritdoc IMarketAccounts
    function totalEscrow() external view override returns (MicroEuro) {
        return _totalEscrow;
    }

    /// @inheritdoc IMarketAccounts
    function totalLocked() external view override returns (MicroEuro) {
        return _totalLocked;
    }

    /// @inheritdoc IMarketAccounts
    function directTrades() external view override returns (address) {
        return address(_directTrades);
    }

    /// @dev Reads a member's account from its slot.
    function _account(uint32 member) internal view returns (Account) {
        return _accounts[member];
    }

    /// @dev Moves a member's account by an amount to pay [micro-euro] and traded energy [Wh]; reverts if the balance would
    /// fall below zero. `account` is what the slot holds, so that it is read once.
    function _book(uint32 member, Account account, int256 amount, int256 traded) internal {
        int256 balance = account.balanceOf();
        if (balance < amount) revert MarketInsufficientBalance(member, MicroEuro.wrap(int128(balance)), _wrap(amount));
        // No balance exceeds the escrow, which fits into 96 bits; amounts and energies are of 128 bits at most.
        unchecked {
            _accounts[member] = account.moved(balance - amount, account.tradedOf() + traded);
        }
    }

    /// @dev Takes an amount [micro-euro] from a balance; reverts if it is not there.
    function _debit(uint32 member, MicroEuro amount) internal {
        _book(member, _accounts[member], MicroEuro.unwrap(amount), 0);
    }

    /// @dev Adds an amount [micro-euro] that is in escrow already to a balance, and traded energy [Wh].
    function _credit(uint32 member, MicroEuro amount, WattHour traded) internal {
        _book(member, _accounts[member], -int256(MicroEuro.unwrap(amount)), WattHour.unwrap(traded));
    }

    /// @dev Transfers an amount [micro-euro] of the caller's currency to this contract.
    function _takeIntoEscrow(MicroEuro amount) internal {
        _totalEscrow = MicroEuro.wrap(_toInt96(MicroEuro.unwrap(_totalEscrow + amount)));
        _currency.safeTransferFrom(msg.sender, address(this), amount.toUint256());
    }

    /// @dev Transfers an amount [micro-euro] out of escrow.
    function _payOut(address account, MicroEuro amount) internal {
        _totalEscrow = _totalEscrow - amount;
        _currency.safeTransfer(account, amount.toUint256());
    }

    /// @dev Reverts unless the caller holds the role.
    function _requireRole(bytes32 role) internal view {
        if (!_registry.hasRole(role, msg.sender)) revert MarketUnauthorizedAccount(msg.sender, role);
    }

    /// @dev Reverts unless the amount is above zero.
    function _requirePositive(MicroEuro amount) internal pure {
        if (!(ZERO_MICRO_EURO < amount)) revert MarketInvalidAmount(amount);
    }

    /// @dev Reverts unless the contract of direct trades calls.
    function _requireDirectTrades() private view {
        if (msg.sender != address(_directTrades)) revert MarketUnauthorizedAccount(msg.sender, bytes32(0));
    }

    /// @dev Adds a positive amount [micro-euro] to a balance; the caller must bring it into escrow.
    function _depositTo(uint32 member, MicroEuro amount) private {
        _requirePositive(amount);
        _credit(member, amount, ZERO_WATT_HOUR);
        emit Deposited(member, msg.sender, amount);
    }

    /// @dev Stores a limit that fits into 64 bits and is not negative.
    function _setDebitLimit(uint32 member, MicroEuro limit) private {
        if (limit < ZERO_MICRO_EURO) revert MarketInvalidAmount(limit);
        _accounts[member] = _accounts[member].withLimit(limit);
        emit DebitLimitSet(member, limit);
    }

    /// @dev The value in 96 bits; reverts if it does not fit.
    function _toInt96(int256 value) private pure returns (int96) {
        return SafeCast.toInt96(value);
    }

    /// @dev The value as money [micro-euro]; reverts if it does not fit.
    function _wrap(int256 value) private pure returns (MicroEuro) {
        return MicroEuro.wrap(SafeCast.toInt128(value));
    }
}
