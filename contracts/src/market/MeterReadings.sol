// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {IMeterReadings} from "../interfaces/IMeterReadings.sol";
import {MarketHashes} from "../libraries/MarketHashes.sol";
import {Reading} from "../types/MarketTypes.sol";
import {WattHour} from "../types/Quantities.sol";
import {MarketSignatures} from "./MarketSignatures.sol";

/// @title Recorded meter readings
/// @dev Readings are kept by oracle, so that a change of a meter's oracle touches no open trade.
abstract contract MeterReadings is MarketSignatures, IMeterReadings {
    /// @dev A meter's energies in a period [Wh]; one storage slot.
    struct Metered {
        int96 energy;
        int96 promised;
        bool recorded;
    }

    uint64 private immutable _genesis;
    uint32 private immutable _periodLength;

    mapping(bytes32 key => Metered) private _metered;

    /// @dev Takes the start of period 0, as Unix time [s], and the length of a period [s], which may not be zero.
    constructor(uint64 genesis, uint32 periodLength) {
        if (periodLength == 0) revert MarketInvalidTerms();
        _genesis = genesis;
        _periodLength = periodLength;
    }

    /// @inheritdoc IMeterReadings
    function recordReading(Reading calldata reading, address oracle, bytes calldata signature) external override {
        if (block.timestamp < periodEnd(reading.period)) revert MarketPeriodNotOver(reading.period);
        _requireOracle(oracle, MarketHashes.hashReading(reading), signature);
        Metered storage metered = _metered[_key(oracle, reading.meter, reading.period)];
        if (metered.recorded) revert MarketReadingRecorded(reading.meter, reading.period);
        metered.recorded = true;
        metered.energy = SafeCast.toInt96(WattHour.unwrap(reading.energy));
        emit ReadingRecorded(oracle, reading.meter, reading.period, reading.energy);
    }

    /// @inheritdoc IMeterReadings
    function readingOf(address oracle, bytes32 meter, uint64 period)
        public
        view
        override
        returns (bool recorded, WattHour energy, WattHour promised)
    {
        Metered memory metered = _metered[_key(oracle, meter, period)];
        return (metered.recorded, WattHour.wrap(metered.energy), WattHour.wrap(metered.promised));
    }

    /// @inheritdoc IMeterReadings
    function requireReading(address oracle, bytes32 meter, uint64 period) public view override returns (WattHour) {
        (bool recorded, WattHour energy,) = readingOf(oracle, meter, period);
        if (!recorded) revert MarketNoReading(meter, period);
        return energy;
    }

    /// @inheritdoc IMeterReadings
    function periodEnd(uint64 period) public view override returns (uint256) {
        return _genesis + (uint256(period) + 1) * _periodLength;
    }

    /// @dev Promises more of a meter's energy [Wh].
    /// @return ahead What was promised before [Wh].
    function _promise(address oracle, bytes32 meter, uint64 period, WattHour energy)
        internal
        returns (WattHour ahead)
    {
        Metered storage metered = _metered[_key(oracle, meter, period)];
        ahead = WattHour.wrap(metered.promised);
        metered.promised = SafeCast.toInt96(WattHour.unwrap(ahead + energy));
    }

    /// @dev Where a reading is kept.
    function _key(address oracle, bytes32 meter, uint64 period) private pure returns (bytes32) {
        return keccak256(abi.encode(oracle, meter, period));
    }
}
