// Launches the CUDA sources on the CPU, block after block. Kernels with barriers run each thread of a block as a fibre.
#include "all_sources.h"

#include <ucontext.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>

namespace flare {
namespace {

constexpr std::size_t kStackBytes = 64 << 10;

struct Fibre {
    ucontext_t context;
    std::unique_ptr<char[]> stack{new char[kStackBytes]};
    bool done;
};

thread_local ucontext_t scheduler;
thread_local std::vector<Fibre> fibres;
thread_local Fibre* running = nullptr;
thread_local const std::function<void()>* body = nullptr;

void enter() {
    (*body)();
    running->done = true;
    swapcontext(&running->context, &scheduler);
}

Index index_in(unsigned flat, const Index& size) {
    return {flat % size.x, flat / size.x % size.y, flat / (size.x * size.y)};
}

unsigned ordered(unsigned i, unsigned count, bool reversed) { return reversed ? count - 1 - i : i; }

// Runs the threads of one block from barrier to barrier. False where some threads end while others wait at a barrier.
bool run_fibres(const std::function<void()>& thread, unsigned threads, bool reversed) {
    if (fibres.size() < threads) fibres.resize(threads);
    body = &thread;
    for (Fibre& fibre : fibres) {
        fibre.done = false;
        getcontext(&fibre.context);
        fibre.context.uc_stack.ss_sp = fibre.stack.get();
        fibre.context.uc_stack.ss_size = kStackBytes;
        fibre.context.uc_link = nullptr;
        makecontext(&fibre.context, enter, 0);
    }
    bool together = true;
    for (unsigned alive = threads; alive > 0;) {
        const unsigned before = alive;
        for (unsigned i = 0; i < threads; ++i) {
            const unsigned t = ordered(i, threads, reversed);
            if (fibres[t].done) continue;
            running = &fibres[t];
            thread_index = index_in(t, block_size);
            swapcontext(&scheduler, &running->context);
            alive -= running->done;
        }
        together = together && (alive == before || alive == 0);
    }
    running = nullptr;
    return together;
}

void run_loop(const std::function<void()>& thread, unsigned threads, bool reversed) {
    for (unsigned i = 0; i < threads; ++i) {
        thread_index = index_in(ordered(i, threads, reversed), block_size);
        thread();
    }
}

}  // namespace

void barrier() {
    if (running == nullptr) {
        std::fputs("flare shim: a barrier in a kernel that was launched as a loop\n", stderr);
        std::abort();
    }
    swapcontext(&running->context, &scheduler);
}

}  // namespace flare

// 0 done, 1 no such kernel, 2 the threads of a block did not all reach a barrier.
extern "C" int flare_launch(const char* name, const unsigned* grid, const unsigned* block, void** arguments, int fibres,
                            int reversed) {
    using namespace flare;
    for (const Kernel& kernel : kernels()) {
        if (std::strcmp(kernel.name, name) != 0) continue;
        grid_size = {grid[0], grid[1], grid[2]};
        block_size = {block[0], block[1], block[2]};
        const std::function<void()> thread = [&] { kernel.call(arguments); };
        const unsigned blocks = grid[0] * grid[1] * grid[2], threads = block[0] * block[1] * block[2];
        for (unsigned i = 0; i < blocks; ++i) {
            block_index = index_in(ordered(i, blocks, reversed), grid_size);
            if (fibres == 0) run_loop(thread, threads, reversed);
            else if (!run_fibres(thread, threads, reversed)) return 2;
        }
        return 0;
    }
    return 1;
}

// The kernels' names, one a line.
extern "C" const char* flare_kernels() {
    static std::string names;
    names.clear();
    for (const flare::Kernel& kernel : flare::kernels()) names += std::string(kernel.name) + "\n";
    return names.c_str();
}
