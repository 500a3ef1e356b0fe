// Function multiversioning: one binary for every x86-64, the wider registers used where the processor has them.
// Only plain loops profit, so these are the innermost functions; FLARE_INLINE marks a loop body that they share. Products
// and sums are never fused (-ffp-contract=off), so that every version gives the same bits.
#pragma once

#define FLARE_INLINE inline __attribute__((always_inline))

#if defined(__x86_64__) && defined(__gnu_linux__)
#define FLARE_X86 1
#define FLARE_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define FLARE_X86 0
#define FLARE_CLONES
#endif

// Whether the compiler knows products of bfloat16 and can ask the processor for them.
#define FLARE_BF16 (FLARE_X86 && __GNUC__ >= 11)
