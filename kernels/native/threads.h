// The threads of a kernel call. Waiting threads sleep: OpenMP's spin for milliseconds after each loop, which starves the
// thread pool that runs the network in between (8 ms of processor time a call against 0.15 ms, on two busy cores).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace flare {

// Threads of every later kernel call; 0 = one per processor that this process may use.
void set_threads(int threads);

class Team {
 public:
    Team();
    int size() const { return size_; }

    // Calls work(index, thread), thread < size(), for each index in [0, count), in any order. `work` must not throw, so
    // allocate scratch before. Several callers may run at once: each does its own share, and idle threads join in.
    void run(int64_t count, const std::function<void(int64_t index, int thread)>& work) const;

 private:
    int size_;
};

// One buffer of zeros for each thread of a team.
template <class T>
class PerThread {
 public:
    PerThread(const Team& team, size_t count) : buffers_(team.size(), std::vector<T>(count)) {}
    T* operator[](int thread) { return buffers_[thread].data(); }

 private:
    std::vector<std::vector<T>> buffers_;
};

}  // namespace flare
