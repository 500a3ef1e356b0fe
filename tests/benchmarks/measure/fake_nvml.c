/* A stand-in for libnvidia-ml.so.1, so that the real pynvml runs where there is no GPU.

   The environment says what it answers:
     FAKE_NVML_STATE  a file that is read anew at each query: "USED_BYTES [PID PROCESS_BYTES]...", in decimal
     FAKE_NVML_FAIL   "FUNCTION:CODE[:AFTER]": this function returns CODE once it has been called AFTER times */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned long long u64;
static const u64 TOTAL = 24ull << 30;

static int fault(const char *function) {
    static int calls;
    const char *wanted = getenv("FAKE_NVML_FAIL");
    size_t length = strlen(function);
    int code = 0, after = 0;
    if (!wanted || strncmp(wanted, function, length) || wanted[length] != ':') return 0;
    sscanf(wanted + length, ":%d:%d", &code, &after);
    return ++calls > after ? code : 0;
}

static FILE *state(u64 *used) {
    const char *path = getenv("FAKE_NVML_STATE");
    FILE *file = path ? fopen(path, "r") : NULL;
    *used = 0;
    if (file && fscanf(file, "%llu", used) != 1) *used = 0;
    return file;
}

int nvmlInitWithFlags(unsigned flags) { (void)flags; return fault("nvmlInit"); }
int nvmlShutdown(void) { return 0; }
const char *nvmlErrorString(int code) { (void)code; return "fake NVML error"; }

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) {
    *device = (void *)1;
    return index ? 2 : fault("nvmlDeviceGetHandleByIndex"); /* 2: invalid argument */
}

int nvmlDeviceGetName(void *device, char *name, unsigned length) {
    (void)device;
    snprintf(name, length, "Fake GPU");
    return 0;
}

struct memory { u64 total, free, used; };
int nvmlDeviceGetMemoryInfo(void *device, struct memory *memory) {
    int code = fault("nvmlDeviceGetMemoryInfo");
    FILE *file;
    (void)device;
    if (code) return code;
    file = state(&memory->used);
    if (file) fclose(file);
    memory->total = TOTAL;
    memory->free = TOTAL - memory->used;
    return 0;
}

struct process { unsigned pid; u64 used; unsigned gpu_instance, compute_instance; };
int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned *count, struct process *processes) {
    int code = fault("nvmlDeviceGetComputeRunningProcesses");
    unsigned found = 0, pid;
    u64 used;
    FILE *file;
    (void)device;
    if (code) return code;
    file = state(&used);
    while (file && fscanf(file, "%u %llu", &pid, &used) == 2) {
        if (processes && found < *count) processes[found] = (struct process){pid, used, ~0u, ~0u};
        found++;
    }
    if (file) fclose(file);
    code = found > *count || (found && !processes) ? 7 : 0; /* 7: insufficient size */
    *count = found;
    return code;
}
