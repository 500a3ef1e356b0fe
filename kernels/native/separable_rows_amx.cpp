// The loops of separable_tile_loops.h. Tiles are named in assembly, so that compilers need no flags for them.
#include <cstring>

#include "separable_tile_rows.h"
#include "separable_rows.h"
#include "simd.h"

#if FLARE_BF16
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512vbmi2,avx512bf16")
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // both of the compiler's own headers: GCC bug 105593
#include <immintrin.h>

#include "separable_tile_loops.h"

namespace flare {
const TileLoops* loops_of_tiles() { return &rows_of_tiles::kLoops; }
}  // namespace flare
#else
namespace flare {
const TileLoops* loops_of_tiles() { return nullptr; }
}  // namespace flare
#endif
