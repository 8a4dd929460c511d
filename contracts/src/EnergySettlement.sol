// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {IEnergySettlement} from "./interfaces/IEnergySettlement.sol";
import {SettlementEntries} from "./libraries/SettlementEntries.sol";
import {MicroEuro, WattHour, ZERO_MICRO_EURO, ZERO_WATT_HOUR} from "./types/Quantities.sol";

/// @title Netted settlement of energy and money
/// @notice The escrow covers all balances: the currency held here is never less than the sum of the balances, and is
/// equal to it unless somebody sends currency to this address outside of a deposit.
/// @dev The currency must move exactly what it is told to (no fee on transfer), as `SettlementCurrency` does.
contract EnergySettlement is IEnergySettlement, AccessControl, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;
    using SettlementEntries for bytes;

    /// @dev What a member owns and has traded; one storage slot.
    struct Account {
        MicroEuro balance;
        WattHour traded;
    }

    /// @inheritdoc IEnergySettlement
    bytes32 public constant override OPERATOR_ROLE = keccak256("OPERATOR_ROLE");

    IERC20 private immutable _currency;
    MicroEuro private _totalBalance;
    address[] private _addresses;
    mapping(address account => uint256 memberPlusOne) private _memberPlusOne;
    mapping(uint32 member => Account) private _accounts;
    mapping(uint64 period => bytes32 digest) private _digests;

    /// @notice Deploys the settlement without members.
    /// @param token The ERC-20 token to hold in escrow; not the zero address.
    /// @param admin Who may grant and revoke roles, and operates at first; not the zero address.
    constructor(address token, address admin) {
        if (token == address(0) || admin == address(0)) revert SettlementInvalidAccount(address(0));
        _currency = IERC20(token);
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
        _grantRole(OPERATOR_ROLE, admin);
    }

    /// @inheritdoc IEnergySettlement
    function registerMembers(address[] calldata addresses) external override onlyRole(OPERATOR_ROLE) {
        for (uint256 i = 0; i < addresses.length; ++i) {
            address account = addresses[i];
            if (account == address(0) || _memberPlusOne[account] != 0) revert SettlementInvalidAccount(account);
            uint32 member = uint32(_addresses.length);
            _addresses.push(account);
            _memberPlusOne[account] = uint256(member) + 1;
            emit MemberRegistered(member, account);
        }
    }

    /// @inheritdoc IEnergySettlement
    function deposit(MicroEuro amount) external override nonReentrant {
        _credit(memberOf(msg.sender), amount);
        _takeIntoEscrow(amount);
    }

    /// @inheritdoc IEnergySettlement
    function depositFor(uint32[] calldata members, MicroEuro[] calldata amounts) external override nonReentrant {
        if (members.length != amounts.length) revert SettlementInvalidLengths(members.length, amounts.length);
        MicroEuro total = ZERO_MICRO_EURO;
        for (uint256 i = 0; i < members.length; ++i) {
            _requireMember(members[i]);
            _credit(members[i], amounts[i]);
            total = total + amounts[i];
        }
        _takeIntoEscrow(total);
    }

    /// @inheritdoc IEnergySettlement
    function withdraw(MicroEuro amount) external override nonReentrant {
        uint32 member = memberOf(msg.sender);
        _requirePositive(amount);
        _debit(member, amount, ZERO_WATT_HOUR);
        _totalBalance = _totalBalance - amount;
        emit Withdrawn(member, amount);
        _currency.safeTransfer(msg.sender, amount.toUint256());
    }

    /// @inheritdoc IEnergySettlement
    function settle(uint64 period, bytes calldata entries) external override onlyRole(OPERATOR_ROLE) {
        if (_digests[period] != bytes32(0)) revert SettlementPeriodAlreadySettled(period);
        if (entries.length == 0 || entries.length % SettlementEntries.ENTRY_BYTES != 0) {
            revert SettlementInvalidBatch(entries.length);
        }
        bytes32 digest = keccak256(entries);
        _digests[period] = digest;
        (MicroEuro turnover, WattHour traded) = _book(entries);
        emit PeriodSettled(period, digest, entries.length / SettlementEntries.ENTRY_BYTES, turnover, traded);
    }

    /// @inheritdoc IEnergySettlement
    function currency() external view override returns (address) {
        return address(_currency);
    }

    /// @inheritdoc IEnergySettlement
    function memberCount() external view override returns (uint32) {
        return uint32(_addresses.length);
    }

    /// @inheritdoc IEnergySettlement
    function accountOf(uint32 member) external view override returns (address) {
        _requireMember(member);
        return _addresses[member];
    }

    /// @inheritdoc IEnergySettlement
    function balanceOf(uint32 member) external view override returns (MicroEuro) {
        _requireMember(member);
        return _accounts[member].balance;
    }

    /// @inheritdoc IEnergySettlement
    function accounts() external view override returns (MicroEuro[] memory balances, WattHour[] memory traded) {
        uint256 count = _addresses.length;
        balances = new MicroEuro[](count);
        traded = new WattHour[](count);
        for (uint256 i = 0; i < count; ++i) {
            Account storage account = _accounts[uint32(i)];
            (balances[i], traded[i]) = (account.balance, account.traded);
        }
    }

    /// @inheritdoc IEnergySettlement
    function totalBalance() external view override returns (MicroEuro) {
        return _totalBalance;
    }

    /// @inheritdoc IEnergySettlement
    function digestOf(uint64 period) external view override returns (bytes32) {
        return _digests[period];
    }

    /// @inheritdoc IEnergySettlement
    function memberOf(address account) public view override returns (uint32) {
        uint256 memberPlusOne = _memberPlusOne[account];
        if (memberPlusOne == 0) revert SettlementUnauthorizedAccount(account);
        return uint32(memberPlusOne - 1);
    }

    /// @dev Books all entries of a batch; reverts unless they ascend, sum to zero and leave everyone at or above zero.
    /// @return Sum of all debits [micro-euro].
    /// @return Sum of all energy bought [Wh].
    function _book(bytes calldata entries) private returns (MicroEuro, WattHour) {
        uint256 count = _addresses.length;
        uint256 lowest = 0;
        int128 money = 0;
        int128 energy = 0;
        int128 debits = 0;
        int128 bought = 0;
        for (uint256 offset = 0; offset < entries.length; offset += SettlementEntries.ENTRY_BYTES) {
            (uint32 member, int64 amount, int64 traded) = entries.read(offset);
            if (member < lowest) revert SettlementInvalidOrder(member);
            if (member >= count) revert SettlementInvalidMember(member);
            lowest = uint256(member) + 1;
            _debit(member, MicroEuro.wrap(amount), WattHour.wrap(traded));
            // Members ascend, so there are at most 2^32 entries of 64 bits: the sums stay within 96 bits.
            unchecked {
                money += amount;
                energy += traded;
                if (amount > 0) debits += amount;
                if (traded > 0) bought += traded;
            }
        }
        if (money != 0) revert SettlementUnbalancedMoney(MicroEuro.wrap(money));
        if (energy != 0) revert SettlementUnbalancedEnergy(WattHour.wrap(energy));
        return (MicroEuro.wrap(debits), WattHour.wrap(bought));
    }

    /// @dev Adds a positive amount [micro-euro] to a balance; the caller must bring it into escrow.
    function _credit(uint32 member, MicroEuro amount) private {
        _requirePositive(amount);
        _accounts[member].balance = _accounts[member].balance + amount;
        emit Deposited(member, msg.sender, amount);
    }

    /// @dev Takes an amount [micro-euro] of either sign from a balance, and adds traded energy [Wh]; reverts if that
    /// would leave the balance below zero. Both share a storage slot.
    function _debit(uint32 member, MicroEuro amount, WattHour traded) private {
        Account storage account = _accounts[member];
        MicroEuro balance = account.balance;
        if (balance < amount) revert SettlementInsufficientBalance(member, balance, amount);
        account.balance = balance - amount;
        account.traded = account.traded + traded;
    }

    /// @dev Transfers an amount [micro-euro] of the caller's currency to this contract.
    function _takeIntoEscrow(MicroEuro amount) private {
        _totalBalance = _totalBalance + amount;
        _currency.safeTransferFrom(msg.sender, address(this), amount.toUint256());
    }

    /// @dev Reverts unless the amount is above zero.
    function _requirePositive(MicroEuro amount) private pure {
        if (!(ZERO_MICRO_EURO < amount)) revert SettlementInvalidAmount(amount);
    }

    /// @dev Reverts unless a member of this index is registered.
    function _requireMember(uint32 member) private view {
        if (member >= _addresses.length) revert SettlementInvalidMember(member);
    }
}
