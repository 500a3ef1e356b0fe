#include "half.h"

#include <cstring>

#include "simd.h"

#if FLARE_X86
#include <immintrin.h>
#endif

namespace flare {

namespace {

uint32_t bits_of(float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
}

float float_of(uint32_t bits) {
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

constexpr uint32_t kRebias = 112u << 23;  // exponent bias 127 of float less 15 of half
constexpr uint32_t kQuiet = 1u << 22;

float widen_one(Half half) {
    const uint32_t magnitude = half & 0x7fffu;
    const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
    const uint32_t normal = (magnitude << 13) + kRebias;
    const uint32_t special = (magnitude << 13) | 0x7f800000u | (magnitude > 0x7c00u ? kQuiet : 0u);
    const uint32_t subnormal = bits_of(static_cast<float>(static_cast<int32_t>(magnitude)) * 0x1p-24f);
    return float_of(sign | (magnitude >= 0x7c00u ? special : magnitude < 0x400u ? subnormal : normal));
}

Half narrow_one(float value) {
    const uint32_t bits = bits_of(value);
    const uint32_t magnitude = bits & 0x7fffffffu;
    // Half the unit in the last place, less one where the kept part is even: ties go to even.
    const uint32_t normal = (magnitude + 0xfffu + ((magnitude >> 13) & 1u) - kRebias) >> 13;
    // 0.5 has the unit in the last place of a subnormal half, 2^-24, so that this sum rounds for us.
    const uint32_t subnormal = bits_of(float_of(magnitude) + 0.5f) - bits_of(0.5f);
    const uint32_t nan = 0x7e00u | ((magnitude >> 13) & 0x3ffu);
    const uint32_t finite = magnitude < 0x38800000u ? subnormal : normal;  // 2^-14, the smallest normal half
    const uint32_t large = magnitude > 0x7f800000u ? nan : 0x7c00u;
    return static_cast<Half>(((bits >> 16) & 0x8000u) | (magnitude >= 0x477ff000u ? large : finite));  // 65520 and above
}

float between(float lower, float upper, float weight) { return lower + weight * (upper - lower); }

#if FLARE_X86

__attribute__((target("avx2,f16c"))) void widen_f16c(const Half* source, float* target, int64_t count) {
    int64_t i = 0;
    for (; i + 8 <= count; i += 8) {
        const __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i*>(source + i));
        _mm256_storeu_ps(target + i, _mm256_cvtph_ps(halves));
    }
    for (; i < count; ++i) target[i] = _cvtsh_ss(source[i]);
}

__attribute__((target("avx2,f16c"))) void narrow_f16c(const float* source, Half* target, int64_t count) {
    int64_t i = 0;
    for (; i + 8 <= count; i += 8) {
        const __m128i halves = _mm256_cvtps_ph(_mm256_loadu_ps(source + i), _MM_FROUND_TO_NEAREST_INT);
        _mm_storeu_si128(reinterpret_cast<__m128i*>(target + i), halves);
    }
    for (; i < count; ++i) target[i] = static_cast<Half>(_cvtss_sh(source[i], _MM_FROUND_TO_NEAREST_INT));
}

__attribute__((target("avx2,f16c"))) void round_f16c(float* values, int64_t count) {
    int64_t i = 0;
    for (; i + 8 <= count; i += 8) {
        const __m128i halves = _mm256_cvtps_ph(_mm256_loadu_ps(values + i), _MM_FROUND_TO_NEAREST_INT);
        _mm256_storeu_ps(values + i, _mm256_cvtph_ps(halves));
    }
    for (; i < count; ++i) values[i] = _cvtsh_ss(_cvtss_sh(values[i], _MM_FROUND_TO_NEAREST_INT));
}

__attribute__((target("avx2,f16c"))) __m256 between(__m256 lower, __m256 upper, __m256 weight) {
    return _mm256_add_ps(lower, _mm256_mul_ps(weight, _mm256_sub_ps(upper, lower)));
}

__attribute__((target("avx2,f16c"))) __m256 load_halves(const Half* source) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(source)));
}

__attribute__((target("avx2,f16c"))) void interpolate_rows_f16c(const RowsBetween& rows, int64_t start, int64_t stop,
                                                                float* target) {
    const __m256 plane = _mm256_set1_ps(rows.plane_weight), row = _mm256_set1_ps(rows.row_weight);
    int64_t i = start;
    for (; i + 8 <= stop; i += 8) {
        const __m256 lower = between(load_halves(rows.lower_lower + i), load_halves(rows.upper_lower + i), plane);
        const __m256 upper = between(load_halves(rows.lower_upper + i), load_halves(rows.upper_upper + i), plane);
        _mm256_storeu_ps(target + i, between(lower, upper, row));
    }
    interpolate_rows_portable(rows, i, stop, target);
}

// Every processor with AVX2 has F16C, and older compilers cannot ask for F16C by name.
const bool has_f16c = __builtin_cpu_supports("avx2");

#endif

}  // namespace

void widen_portable(const Half* source, float* target, int64_t count) {
    for (int64_t i = 0; i < count; ++i) target[i] = widen_one(source[i]);
}

void narrow_portable(const float* source, Half* target, int64_t count) {
    for (int64_t i = 0; i < count; ++i) target[i] = narrow_one(source[i]);
}

void interpolate_rows_portable(const RowsBetween& rows, int64_t start, int64_t stop, float* target) {
    for (int64_t i = start; i < stop; ++i) {
        const float lower = between(widen_one(rows.lower_lower[i]), widen_one(rows.upper_lower[i]), rows.plane_weight);
        const float upper = between(widen_one(rows.lower_upper[i]), widen_one(rows.upper_upper[i]), rows.plane_weight);
        target[i] = between(lower, upper, rows.row_weight);
    }
}

void widen(const Half* source, float* target, int64_t count) {
#if FLARE_X86
    if (has_f16c) return widen_f16c(source, target, count);
#endif
    widen_portable(source, target, count);
}

void narrow(const float* source, Half* target, int64_t count) {
#if FLARE_X86
    if (has_f16c) return narrow_f16c(source, target, count);
#endif
    narrow_portable(source, target, count);
}

void round_to_half(float* values, int64_t count) {
#if FLARE_X86
    if (has_f16c) return round_f16c(values, count);
#endif
    for (int64_t i = 0; i < count; ++i) values[i] = widen_one(narrow_one(values[i]));
}

void interpolate_rows(const RowsBetween& rows, int64_t start, int64_t stop, float* target) {
#if FLARE_X86
    if (has_f16c) return interpolate_rows_f16c(rows, start, stop, target);
#endif
    interpolate_rows_portable(rows, start, stop, target);
}

}  // namespace flare
