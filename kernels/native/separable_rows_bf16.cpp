// The loops of separable_bf16_loops.h.
#include <cstring>

#include "separable_rows.h"
#include "simd.h"

#if FLARE_BF16
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512bf16")
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // of the compiler's own headers: GCC bug 105593
#include <immintrin.h>

#include "separable_bf16_loops.h"

namespace flare {
const RowLoops<Bf16>* loops_of_bf16() { return &rows_of_bf16::kLoops; }
}  // namespace flare
#else
namespace flare {
const RowLoops<Bf16>* loops_of_bf16() { return nullptr; }
}  // namespace flare
#endif
