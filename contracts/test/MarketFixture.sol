// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {DirectTrades} from "../src/DirectTrades.sol";
import {EnergyMarket} from "../src/EnergyMarket.sol";
import {MemberRegistry} from "../src/MemberRegistry.sol";
import {SettlementCurrency} from "../src/SettlementCurrency.sol";
import {Account} from "../src/types/Account.sol";
import {MarketTerms, Order, Reading} from "../src/types/MarketTypes.sol";
import {MicroEuro, MicroEuroPerKwh, WattHour} from "../src/types/Quantities.sol";
import {Cheats} from "./Cheats.sol";

/// @dev A market with three members; this contract is admin, operator and guardian.
contract MarketFixture is Cheats {
    uint32 internal constant MEMBERS = 3;
    uint32 internal constant PERIOD_S = 3600;
    uint64 internal constant GENESIS = 1_500_000_000;

    SettlementCurrency internal _currency;
    MemberRegistry internal _registry;
    EnergyMarket internal _market;
    DirectTrades internal _direct;

    function _deploy() internal {
        VM.warp(GENESIS);
        _currency = new SettlementCurrency(address(this));
        _registry = new MemberRegistry(address(this));
        MarketTerms memory terms =
            MarketTerms(GENESIS, PERIOD_S, 2 * PERIOD_S, MicroEuro.wrap(1_000_000), MicroEuro.wrap(1_000));
        _market = new EnergyMarket(address(_currency), address(_registry), terms);
        _direct = DirectTrades(_market.directTrades());
        _registry.grantRole(_registry.OPERATOR_ROLE(), address(this));
        _registry.grantRole(_registry.GUARDIAN_ROLE(), address(this));
        _registry.grantRole(_registry.ORACLE_ROLE(), VM.addr(ORACLE_KEY));
        _registerMembers();
        _currency.mint(address(this), 4 * START);
        _currency.approve(address(_market), 4 * START);
        for (uint32 member = 0; member < MEMBERS; ++member) {
            _depositFor(member, int128(int256(START)));
            VM.prank(VM.addr(_keyOf(member)));
            _market.setDebitLimit(MicroEuro.wrap(int128(int256(START))));
        }
        _market.postBond(MicroEuro.wrap(int128(int256(START))));
    }

    function _registerMembers() private {
        address[] memory accounts = new address[](MEMBERS);
        uint32[] memory members = new uint32[](MEMBERS);
        bytes32[] memory meters = new bytes32[](MEMBERS);
        for (uint32 member = 0; member < MEMBERS; ++member) {
            (accounts[member], members[member]) = (VM.addr(_keyOf(member)), member);
            meters[member] = _meterOf(member);
        }
        _registry.registerMembers(accounts);
        _registry.assignMeters(members, meters, VM.addr(ORACLE_KEY));
    }

    function _depositFor(uint32 member, int128 amount) internal {
        uint32[] memory members = new uint32[](1);
        MicroEuro[] memory amounts = new MicroEuro[](1);
        (members[0], amounts[0]) = (member, MicroEuro.wrap(amount));
        _market.depositFor(members, amounts);
    }

    function _meterOf(uint32 member) internal pure returns (bytes32) {
        return keccak256(abi.encode("meter", member));
    }

    function _balanceOf(uint32 member) internal view returns (int128) {
        (MicroEuro balance,,) = _market.accountOf(member);
        return MicroEuro.unwrap(balance);
    }

    function _order(uint32 maker, uint64 period, int128 energy, uint64 price, uint64 penalty, uint64 nonce)
        internal
        pure
        returns (Order memory)
    {
        uint64 end = GENESIS + (period + 1) * PERIOD_S;
        return Order(
            maker, true, period, WattHour.wrap(energy), MicroEuroPerKwh.wrap(price), MicroEuroPerKwh.wrap(penalty),
            VM.addr(ORACLE_KEY), end, end + PERIOD_S, nonce
        );
    }

    function _record(uint32 member, uint64 period, int128 energy) internal {
        Reading memory reading = Reading(_meterOf(member), period, WattHour.wrap(energy));
        bytes memory signature = _sign(ORACLE_KEY, _readingDigest(reading));
        _direct.recordReading(reading, VM.addr(ORACLE_KEY), signature);
    }

    function _readingDigest(Reading memory reading) internal view returns (bytes32) {
        bytes32 kind = keccak256("Reading(bytes32 meter,uint64 period,int128 energy)");
        return _digest("DirectTrades", address(_direct), keccak256(abi.encode(kind, reading)));
    }

    function _settleNetted(uint64 period, bytes memory entries) internal {
        bytes32 structHash =
            keccak256(abi.encode(keccak256("Batch(uint64 period,bytes entries)"), period, keccak256(entries)));
        bytes memory signature = _sign(ORACLE_KEY, _digest("EnergyMarket", address(_market), structHash));
        _market.settleNetted(period, entries, VM.addr(ORACLE_KEY), signature);
    }

    function _escrowIsOwed() internal view returns (bool) {
        Account[] memory members = _market.accounts(0, type(uint32).max);
        int256 owed = MicroEuro.unwrap(_market.totalLocked());
        for (uint256 i = 0; i < members.length; ++i) {
            owed += members[i].balanceOf();
        }
        (, MicroEuro bond,) = _market.seat();
        for (uint64 period = 0; period < 8; ++period) {
            owed += MicroEuro.unwrap(_market.potOf(period));
        }
        owed += MicroEuro.unwrap(bond);
        return owed == MicroEuro.unwrap(_market.totalEscrow())
            && uint256(owed) == _currency.balanceOf(address(_market));
    }

    function _digest(string memory name, address verifier, bytes32 structHash) private view returns (bytes32) {
        bytes32 kind =
            keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
        bytes32 domain = keccak256(
            abi.encode(kind, keccak256(bytes(name)), keccak256("1"), block.chainid, verifier)
        );
        return keccak256(abi.encodePacked(hex"1901", domain, structHash));
    }
}
