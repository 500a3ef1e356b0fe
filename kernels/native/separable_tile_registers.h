// The eight tiles of a processor with AMX: `tdpbf16ps` multiplies one of 16 rows of 32 values of bfloat16 with one of 16 columns of
// as many, 8192 products in 16 cycles. It rounds to nearest and takes denormals as 0.
//
// A thread sets its tiles up once for a piece of work, which takes 80 ns, and releases them at its end: no switch of threads saves
// them after that. Tiles 0 to 4 are the depthwise convolution's kernels and sums, 5 to 7 have 16 rows for all others.
#pragma once

namespace flare {
namespace rows_of_tiles {

// What the processor is told of its tiles: 0 to 4 have `rows` rows, 5 to 7 have 16.
struct alignas(64) Shapes {
    uint8_t palette = 1, start = 0, reserved[14] = {};
    uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {};
    explicit constexpr Shapes(uint8_t count) : rows{count, count, count, count, count, 16, 16, 16} {}
};
// They lie in memory: written just before they are read, they would keep the processor waiting until all earlier stores are done.
constexpr Shapes kShapes[] = {Shapes(3), Shapes(6), Shapes(12)};

template <int kAt>
FLARE_INLINE void zero() {
    asm volatile("tilezero %%tmm%c0" ::"i"(kAt));
}
template <int kAt>
FLARE_INLINE void load(const Tiled* rows, int64_t row_bytes) {
    asm volatile("tileloadd (%1,%2,1), %%tmm%c0" ::"i"(kAt), "r"(rows), "r"(row_bytes) : "memory");
}
template <int kAt>
FLARE_INLINE void store(float* rows) {
    asm volatile("tilestored %%tmm%c0, (%1,%2,1)" ::"i"(kAt), "r"(rows), "r"(int64_t{64}) : "memory");
}
template <int kSum, int kA, int kB>
FLARE_INLINE void dot() {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kSum), "i"(kA), "i"(kB));
}

inline void set_up(int64_t rows) {
    const Shapes& shapes = kShapes[rows == 3 ? 0 : rows == 6 ? 1 : 2];
    asm volatile("ldtilecfg %0" ::"m"(shapes));
}

inline void release() {
    asm volatile("tilerelease");
    _mm_sfence();  // streamed values are there for the threads that read them next
}

}  // namespace rows_of_tiles
}  // namespace flare
