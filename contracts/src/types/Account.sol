// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {MicroEuro} from "./Quantities.sol";

/// @dev A member's account in one storage word, so that a settlement reads and writes it once:
///
/// | bits     | type   | meaning                                        |
/// |----------|--------|------------------------------------------------|
/// | 255..160 | int96  | balance [micro-euro]                           |
/// | 159..64  | int96  | energy bought less energy sold [Wh]            |
/// | 63..0    | uint64 | the most that a period may debit [micro-euro]  |
type Account is uint256;

using {balanceOf, tradedOf, limitOf, moved, withLimit} for Account global;

/// @dev What the member owns [micro-euro].
function balanceOf(Account account) pure returns (int256) {
    return int256(Account.unwrap(account)) >> 160;
}

/// @dev What the member has bought less what it has sold [Wh].
function tradedOf(Account account) pure returns (int256) {
    return int256(Account.unwrap(account) << 96) >> 160;
}

/// @dev The most that a period may debit [micro-euro].
function limitOf(Account account) pure returns (int256) {
    return int256(uint256(uint64(Account.unwrap(account))));
}

/// @dev The account with another balance [micro-euro], which must fit into 96 bits, and other energy [Wh]; reverts if the
/// energy does not fit into 96 bits.
function moved(Account account, int256 balance, int256 traded) pure returns (Account) {
    uint256 energy = uint256(int256(SafeCast.toInt96(traded)));
    return Account.wrap(uint256(balance) << 160 | energy << 160 >> 96 | uint64(Account.unwrap(account)));
}

/// @dev The account with another limit; reverts if it is negative or does not fit into 64 bits.
function withLimit(Account account, MicroEuro limit) pure returns (Account) {
    return Account.wrap(Account.unwrap(account) >> 64 << 64 | SafeCast.toUint64(limit.toUint256()));
}
