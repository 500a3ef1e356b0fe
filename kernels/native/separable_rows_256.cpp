// The loops of separable_loops.h in registers of 256 bits.
#include "separable_rows.h"
#include "simd.h"

#if FLARE_X86
#pragma GCC target("avx2,fma")
#include <immintrin.h>

#define FLARE_BITS 256
#define FLARE_ISA rows_of_256_bits
#include "separable_loops.h"

namespace flare {
const RowLoops<float>* loops_of_256_bits() { return &rows_of_256_bits::kLoops; }
}  // namespace flare
#else
namespace flare {
const RowLoops<float>* loops_of_256_bits() { return nullptr; }
}  // namespace flare
#endif
