// Blocks of the filesystem are made and freed by the million: a simulator keeps the freed ones for the next. One
// thread.
#include <cstdlib>
#include <new>

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

namespace {

// A block of 4 KiB at 64 bytes, and what a shared pointer keeps beside it.
constexpr std::size_t smallest = 4096;
constexpr std::size_t largest = 4096 + 256;
constexpr std::size_t alignment = 64;

struct Free {
    Free* next;
};
Free* pool = nullptr;

bool fits(std::size_t size, std::align_val_t align) {
    return size >= smallest && size <= largest && static_cast<std::size_t>(align) <= alignment;
}

}  // namespace

void* operator new(std::size_t size, std::align_val_t align) {
    if (fits(size, align)) {
        if (pool != nullptr) {
            auto* taken = pool;
            pool = taken->next;
            return taken;
        }
        size = largest;
        align = std::align_val_t{alignment};
    }
    const auto whole = static_cast<std::size_t>(align);
    auto* memory = std::aligned_alloc(whole, (size + whole - 1) / whole * whole);
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
}

void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }

void operator delete(void* memory, std::size_t size, std::align_val_t align) noexcept {
    if (memory == nullptr || !fits(size, align)) return std::free(memory);
    pool = new (memory) Free{pool};
}

#endif
