// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @dev The few of forge's cheat codes that the tests need.
interface Vm {
    function addr(uint256 key) external pure returns (address);
    function expectPartialRevert(bytes4 selector) external;
    function prank(address sender) external;
    function sign(uint256 key, bytes32 digest) external pure returns (uint8 v, bytes32 r, bytes32 s);
    function warp(uint256 timestamp) external;
}

/// @dev A deployed market with three funded members, and what signs for them.
contract Cheats {
    Vm internal constant VM = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    uint256 internal constant ORACLE_KEY = 0x0A;
    uint256 internal constant START = 10_000_000;

    /// @dev The key of a member.
    function _keyOf(uint32 member) internal pure returns (uint256) {
        return 0x100 + uint256(member);
    }

    /// @dev A signature as the contracts read it.
    function _sign(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = VM.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    /// @dev The value moved into bounds.
    function _bound(uint256 value, uint256 least, uint256 most) internal pure returns (uint256) {
        return least + value % (most - least + 1);
    }
}
