// A queue that allocates once.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace clearframe {

// First in, first out, of at most `capacity` items. push() on a full queue and front(), pop() or []
// beyond what is in it are the caller's error. One thread.
template <typename T>
class FixedQueue {
public:
    explicit FixedQueue(std::size_t capacity) : items_(capacity) {}

    bool empty() const { return size_ == 0; }
    std::size_t size() const { return size_; }
    T& front() { return items_[first_]; }
    T& operator[](std::size_t i) { return items_[index(i)]; } // 0: the front
    const T& operator[](std::size_t i) const { return items_[index(i)]; }
    bool contains(const T& item) const {
        for (std::size_t i = 0; i < size_; ++i)
            if ((*this)[i] == item)
                return true;
        return false;
    }

    void push(T item) { items_[index(size_++)] = std::move(item); }
    T pop() {
        T item = std::exchange(items_[first_], T{});
        first_ = index(1);
        --size_;
        return item;
    }
    void clear() { size_ = 0; }

private:
    std::size_t index(std::size_t i) const {
        const std::size_t sum = first_ + i;
        return sum < items_.size() ? sum : sum - items_.size();
    }

    std::vector<T> items_;
    std::size_t first_ = 0;
    std::size_t size_ = 0;
};

} // namespace clearframe
