// What loops over values of bfloat16 share: vectors of 16 floats that become 32 such values, and back. Included behind the pragma
// that names the processor's features.
#pragma once

namespace flare {
namespace bf16_vectors {

// Two vectors of 16 that are stored in one of 32.
struct Pair {
    __m512 even, odd;
};

FLARE_INLINE Pair unpack(__m512i pair) {
    const __m512i high = _mm512_set1_epi32(static_cast<int>(0xffff0000u));
    return {_mm512_castsi512_ps(_mm512_slli_epi32(pair, 16)), _mm512_castsi512_ps(_mm512_and_si512(pair, high))};
}

// Both rounded, the even vector's values first.
FLARE_INLINE __m512i one_by_one(Pair pair) { return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(pair.odd, pair.even)); }

// Both rounded, lane by lane.
FLARE_INLINE __m512i pack(Pair pair) {
    alignas(64) static constexpr uint16_t kSideBySide[32] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                                             8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    return _mm512_permutexvar_epi16(_mm512_load_si512(kSideBySide), one_by_one(pair));
}

FLARE_INLINE __m512 activated(__m512 value, __m512 scale, __m512 shift) {
    const __m512 normalised = _mm512_fmadd_ps(value, scale, shift), low = normalised * _mm512_set1_ps(kSlope);
    return normalised > low ? normalised : low;
}

// 16 floats of a row of a plane of logits, of which `count` are there.
FLARE_INLINE void put_logits(float* at, __m512 values, int64_t count) {
    if (count >= 16 && reinterpret_cast<uintptr_t>(at) % 64 == 0) return _mm512_stream_ps(at, values);
    const __mmask16 there = count < 16 ? static_cast<__mmask16>((1u << count) - 1) : static_cast<__mmask16>(0xffff);
    _mm512_mask_storeu_ps(at, there, values);
}

}  // namespace bf16_vectors
}  // namespace flare
