// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

import {IMarketAccounts} from "../src/interfaces/IMarketAccounts.sol";
import {IMarketSignatures} from "../src/interfaces/IMarketSignatures.sol";
import {INettedSettlement} from "../src/interfaces/INettedSettlement.sol";
import {IPooledSettlement} from "../src/interfaces/IPooledSettlement.sol";
import {SettlementEntries} from "../src/libraries/SettlementEntries.sol";
import {Account} from "../src/types/Account.sol";
import {Line, Order, Reading, Settlement, Trade} from "../src/types/MarketTypes.sol";
import {MicroEuro, MicroEuroPerKwh, WattHour} from "../src/types/Quantities.sol";
import {MarketFixture} from "./MarketFixture.sol";

/// @dev An oracle that is a contract: it keeps its address when its key changes (ERC-1271).
contract KeptOracle is IERC1271 {
    address private _key;

    function setKey(address key) external {
        _key = key;
    }

    function isValidSignature(bytes32 hash, bytes calldata signature) external view override returns (bytes4) {
        return ECDSA.recoverCalldata(hash, signature) == _key ? IERC1271.isValidSignature.selector : bytes4(0);
    }
}

/// @dev Unit and fuzz tests of the market.
contract EnergyMarketTest is MarketFixture {
    function setUp() public {
        _deploy();
    }

    function testFuzz_NobodyWithdrawsMoreThanHers(uint128 amount) public {
        amount = uint128(_bound(amount, 1, 2 * START));
        if (amount > START) VM.expectPartialRevert(IMarketAccounts.MarketInsufficientBalance.selector);
        VM.prank(VM.addr(_keyOf(0)));
        _market.withdraw(MicroEuro.wrap(int128(amount)));
        assert(_escrowIsOwed());
    }

    function test_AContractSignsWithItsPresentKey() public {
        KeptOracle oracle = new KeptOracle();
        _registry.grantRole(_registry.ORACLE_ROLE(), address(oracle));
        oracle.setKey(VM.addr(0x0B));
        VM.warp(GENESIS + PERIOD_S);
        Reading memory reading = Reading(_meterOf(0), 0, WattHour.wrap(-7));
        bytes memory signature = _sign(0x0B, _readingDigest(reading));
        oracle.setKey(VM.addr(0x0C));
        VM.expectPartialRevert(IMarketSignatures.MarketInvalidSignature.selector);
        _direct.recordReading(reading, address(oracle), signature);
        _direct.recordReading(reading, address(oracle), _sign(0x0C, _readingDigest(reading)));
        (bool recorded, WattHour energy,) = _direct.readingOf(address(oracle), _meterOf(0), 0);
        assert(recorded && WattHour.unwrap(energy) == -7);
    }

    function testFuzz_CostRoundsTowardsZero(int64 energy, uint64 price) public pure {
        int256 exact = int256(energy) * int256(uint256(price));
        int256 cost = MicroEuro.unwrap(WattHour.wrap(energy).costAt(MicroEuroPerKwh.wrap(price)));
        int256 most = MicroEuro.unwrap(WattHour.wrap(energy).costAtMost(MicroEuroPerKwh.wrap(price)));
        int256 rest = exact - cost * 1000;
        assert(exact >= 0 ? rest >= 0 && rest < 1000 : rest <= 0 && rest > -1000);
        assert(most * 1000 >= exact && most * 1000 < exact + 1000);
    }

    function testFuzz_EntriesReadBack(uint32 member, int64 amount, int64 traded) public view {
        (uint32 a, int256 b, int256 c) = this.read(abi.encodePacked(bytes20(0), member, amount, traded));
        assert(a == member && b == amount && c == traded);
    }

    function testFuzz_AnAccountKeepsItsThreeNumbers(uint96 balance, int96 traded, uint64 limit, int96 other) public pure {
        int256 owned = int256(uint256(balance >> 1)); // never negative
        Account account = Account.wrap(0).moved(owned, traded).withLimit(MicroEuro.wrap(int128(uint128(limit))));
        assert(account.balanceOf() == owned && account.tradedOf() == traded);
        assert(account.limitOf() == int256(uint256(limit)));
        account = account.moved(owned / 2, other).withLimit(MicroEuro.wrap(int128(uint128(limit / 2))));
        assert(account.balanceOf() == owned / 2 && account.tradedOf() == other);
        assert(account.limitOf() == int256(uint256(limit / 2)));
    }

    function read(bytes calldata entries) external pure returns (uint32, int256, int256) {
        return SettlementEntries.read(entries, SettlementEntries.ENTRY_BYTES);
    }

    function testFuzz_ATradePaysWhatWasDelivered(uint256 seed, int64 reading) public {
        int128 energy = int128(int256(_bound(seed, 1, 5_000)));
        uint64 price = uint64(_bound(seed >> 64, 0, 1_000_000));
        uint64 penalty = uint64(_bound(seed >> 128, 0, 1_000_000));
        Trade memory trade = _open(energy, price, penalty);
        VM.warp(GENESIS + PERIOD_S);
        _record(0, 0, reading);
        _direct.settleTrade(trade);
        int256 fedIn = -int256(reading);
        int256 delivered = fedIn < 0 ? int256(0) : fedIn > energy ? int256(energy) : fedIn;
        int256 gain = delivered * int256(uint256(price)) / 1000 - (energy - delivered) * int256(uint256(penalty)) / 1000;
        assert(_balanceOf(0) == int256(START) + gain && _balanceOf(1) == int256(START) - gain);
        assert(MicroEuro.unwrap(_market.totalLocked()) == 0 && _escrowIsOwed());
    }

    function _open(int128 energy, uint64 price, uint64 penalty) private returns (Trade memory trade) {
        Order memory order = _order(0, 0, energy, price, penalty, 0);
        VM.prank(VM.addr(_keyOf(0)));
        _direct.postOrder(order);
        VM.prank(VM.addr(_keyOf(1)));
        _direct.acceptOrder(order, "", WattHour.wrap(energy));
        trade = Trade(
            1, 0, _meterOf(0), order.oracle, 0, order.energy, WattHour.wrap(0), order.price, order.penalty, order.timeout
        );
    }

    function testFuzz_ABatchMovesMoneyBetweenMembersOnly(int64 a, int64 b, int64 c) public {
        a = int64(int256(_bound(uint256(int256(a)), 0, 2 * START)) - int256(START));
        b = int64(int256(_bound(uint256(int256(b)), 0, START)) - int256(START / 2));
        VM.warp(GENESIS + PERIOD_S);
        bytes memory entries = abi.encodePacked(uint32(0), a, c, uint32(1), b, int64(0), uint32(2), -a - b, int64(0));
        bool balanced = c == 0;
        bool within = -a - b <= int256(START);
        if (!within) VM.expectPartialRevert(IPooledSettlement.MarketDebitLimitExceeded.selector);
        else if (!balanced) VM.expectPartialRevert(INettedSettlement.MarketUnbalancedEnergy.selector);
        this.settleNetted(0, entries);
        assert(_escrowIsOwed());
        if (within && balanced) assert(_balanceOf(0) == int256(START) - a);
    }

    function settleNetted(uint64 period, bytes memory entries) external {
        _settleNetted(period, entries);
    }

    function testFuzz_ARootPaysFromItsPotOnly(int64 amount) public {
        VM.warp(GENESIS + PERIOD_S);
        Line memory line = Line(0, MicroEuro.wrap(amount), WattHour.wrap(0));
        bytes32 kind = keccak256("BalanceLeaf(uint64 period,uint32 member,int128 amount,int128 traded)");
        bytes32 root = keccak256(bytes.concat(keccak256(abi.encode(kind, uint64(0), line))));
        _market.postRoot(0, root);
        Settlement memory settlement = Settlement(0, root, uint64(block.timestamp));
        VM.warp(block.timestamp + 2 * PERIOD_S);
        bool booked = amount >= 0 && uint64(amount) <= START;
        Line[] memory lines = new Line[](1);
        lines[0] = line;
        uint256 count = _market.claimMany(settlement, lines, new bytes32[](0), new bool[](0));
        assert(count == (booked ? 1 : 0));
        assert(_balanceOf(0) == (booked ? int256(START) - amount : int256(START)) && _escrowIsOwed());
    }
}
