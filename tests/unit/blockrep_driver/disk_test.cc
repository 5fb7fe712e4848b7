#include "blockrep/driver/disk.hh"

#include <algorithm>

#include "base/aligned_buffer.hh"
#include "loop_fixture.hh"
#include "temporary_file.hh"

namespace blockrep {
namespace {

constexpr std::uint64_t mebibyte = 1 << 20;

struct Buffer {
    explicit Buffer(std::size_t size, char fill = 0) : memory(std::make_shared<base::AlignedBuffer>(size)) {
        std::ranges::fill(memory->bytes(), static_cast<std::byte>(fill));
    }
    Payload payload() const { return {memory, memory->bytes().data(), memory->size()}; }
    ReadBuffer read_buffer() const { return {memory, memory->bytes().data()}; }
    bool is_all(char value) const {
        return std::ranges::all_of(memory->bytes(), [&](std::byte b) { return b == static_cast<std::byte>(value); });
    }
    std::shared_ptr<base::AlignedBuffer> memory;
};

class DiskTest : public LoopTest {
  protected:
    DiskTest() : file_(8 * mebibyte) {
        auto opened = Disk::open(loop_, file_.path());
        EXPECT_TRUE(opened) << opened.error().message();
        disk_ = *std::move(opened);
    }
    void expect_ok(const base::Result<void>& outcome) { EXPECT_TRUE(outcome) << outcome.error().message(); }

    TemporaryFile file_;
    std::unique_ptr<Disk> disk_;
};

TEST_F(DiskTest, ReadsBackWhatWasWritten) {
    const Buffer out(8192, 'x');
    const Buffer in(8192);
    disk_->write({4096, 8192}, out.payload(), true, [&](base::Result<void> outcome) {
        expect_ok(outcome);
        disk_->read({4096, 8192}, in.read_buffer(), [&](base::Result<void> read) {
            expect_ok(read);
            done();
        });
    });
    run_until_done();
    EXPECT_TRUE(in.is_all('x'));
    EXPECT_EQ(disk_->in_flight(), 0U);
}

TEST_F(DiskTest, TakesMoreThanTheKernelHoldsAtOnce) {
    const Buffer out(4096, 'y');
    int answered = 0;
    for (std::uint64_t i = 0; i < 1000; ++i) {
        disk_->write({i * 4096, 4096}, out.payload(), false, [&](base::Result<void> outcome) {
            expect_ok(outcome);
            if (++answered == 1000) done();
        });
    }
    run_until_done();
    EXPECT_EQ(answered, 1000);
}

TEST_F(DiskTest, ZerosShortAndLongRanges) {
    const Buffer out(mebibyte, 'z');
    const Buffer in(mebibyte);
    disk_->write({0, mebibyte}, out.payload(), false, [&](base::Result<void> first) {
        expect_ok(first);
        disk_->write({0, 4096}, Payload{nullptr, nullptr, 4096}, false, [&](base::Result<void> second) {
            expect_ok(second);
            disk_->write({4096, mebibyte - 4096}, Payload{nullptr, nullptr, mebibyte - 4096}, true,
                         [&](base::Result<void> third) {
                             expect_ok(third);
                             disk_->read({0, mebibyte}, in.read_buffer(), [&](base::Result<void> read) {
                                 expect_ok(read);
                                 done();
                             });
                         });
        });
    });
    run_until_done();
    EXPECT_TRUE(in.is_all(0));
}

// Below a file there may be sectors of 4096 bytes: O_DIRECT would refuse all of these.
TEST_F(DiskTest, WritesOfPartsOfASectorLeaveItsRest) {
    const std::uint64_t end = 3 * 4096;
    const Buffer before(end, 'a');
    std::string expected(end, 'a');
    const Buffer in(end - 512);
    std::vector<Buffer> written;
    int answered = 0;
    disk_->write({0, end}, before.payload(), false, [&](base::Result<void> first) {
        expect_ok(first);
        const auto then = [&](base::Result<void> outcome) {
            expect_ok(outcome);
            if (++answered < 5) return;
            EXPECT_EQ(disk_->in_flight(), 0U);
            disk_->read({512, end - 512}, in.read_buffer(), [&](base::Result<void> read) {
                expect_ok(read);
                done();
            });
        };
        // All at once, in the same sectors: in the middle, at an end, over a border, over a whole one, zeros.
        char fill = 'b';
        for (const Range range : {Range{512, 512}, {1024, 512}, {3584, 1024}, {4608, 5120}}) {
            written.emplace_back(range.length, fill);
            expected.replace(range.offset, range.length, range.length, fill++);
            disk_->write(range, written.back().payload(), range.offset == 1024, then);
        }
        expected.replace(10240, 512, 512, '\0');
        disk_->write({10240, 512}, Payload{nullptr, nullptr, 512}, false, then);
    });
    run_until_done();
    EXPECT_EQ(base::as_text(in.memory->bytes()), expected.substr(512));
    EXPECT_EQ(disk_->in_flight(), 0U);
}

TEST_F(DiskTest, LongZerosMayBeginAndEndInsideASector) {
    const Buffer before(2 * mebibyte, 'a');
    const Buffer in(2 * mebibyte);
    disk_->write({0, 2 * mebibyte}, before.payload(), false, [&](base::Result<void> first) {
        expect_ok(first);
        disk_->write({512, mebibyte}, Payload{nullptr, nullptr, mebibyte}, true, [&](base::Result<void> second) {
            expect_ok(second);
            disk_->read({0, 2 * mebibyte}, in.read_buffer(), [&](base::Result<void> read) {
                expect_ok(read);
                done();
            });
        });
    });
    run_until_done();
    const std::string expected = std::string(512, 'a') + std::string(mebibyte, '\0') + std::string(mebibyte - 512, 'a');
    EXPECT_TRUE(base::as_text(in.memory->bytes()) == expected);
}

// Some devices want memory aligned as their sectors are.
TEST_F(DiskTest, TakesWholeSectorsFromMemoryThatIsNotAligned) {
    const Buffer out(3 * 4096, 'm');
    const Buffer in(3 * 4096);
    const Range range{4096, 8192};
    const Payload payload{out.memory, out.memory->bytes().data() + 512, range.length};
    disk_->write(range, payload, false, [&](base::Result<void> outcome) {
        expect_ok(outcome);
        disk_->read(range, {in.memory, in.memory->bytes().data() + 1024}, [&](base::Result<void> read) {
            expect_ok(read);
            done();
        });
    });
    run_until_done();
    EXPECT_EQ(base::as_text(in.memory->bytes()).substr(1024, 8192), std::string(8192, 'm'));
}

// The core gives the disk up at the first: none of them may keep it for as long as a dying disk takes over each.
TEST_F(DiskTest, WhatWaitsBehindAFailedWriteOfPartsFails) {
    const Buffer out(1024, 'x');
    int failed = 0;
    for (const auto offset : {8 * mebibyte - 512, std::uint64_t{512}, std::uint64_t{8704}}) {
        disk_->write({offset, 1024}, out.payload(), false, [&](base::Result<void> outcome) {
            EXPECT_FALSE(outcome);
            EXPECT_EQ(disk_->in_flight(), 2U - static_cast<unsigned>(failed));
            if (++failed == 3) done();
        });
    }
    run_until_done();
    EXPECT_EQ(failed, 3);
}

TEST_F(DiskTest, ReadingBehindTheEndIsAnErrorNotZeros) {
    const Buffer in(4096, 'k');
    disk_->read({8 * mebibyte, 4096}, in.read_buffer(), [&](base::Result<void> outcome) {
        EXPECT_FALSE(outcome);
        done();
    });
    run_until_done();
}

TEST_F(DiskTest, AnswersEachFlush) {
    int answered = 0;
    for (int i = 0; i < 10; ++i) {
        disk_->flush([&](base::Result<void> outcome) {
            expect_ok(outcome);
            if (++answered == 10) done();
        });
    }
    run_until_done();
    EXPECT_EQ(disk_->in_flight(), 0U);
}

// Whoever lets the disk go when nothing is in flight must not do so between two answers of one flush.
TEST_F(DiskTest, AFlushIsInFlightUntilItIsAnswered) {
    std::vector<std::size_t> in_flight;
    for (int i = 0; i < 3; ++i) {
        disk_->flush([&](base::Result<void> outcome) {
            expect_ok(outcome);
            in_flight.push_back(disk_->in_flight());
            if (in_flight.size() == 3) done();
        });
    }
    run_until_done();
    ASSERT_EQ(in_flight.size(), 3U);  // the last two together
    EXPECT_EQ(in_flight[1], 1U);
    EXPECT_EQ(in_flight[2], 0U);
}

TEST_F(DiskTest, ReadsLongRanges) {
    base::Bytes got;
    disk_->read_all({mebibyte, 3 * mebibyte + 4096}, [&](base::Result<base::Bytes> outcome) {
        ASSERT_TRUE(outcome);
        got = *std::move(outcome);
        done();
    });
    run_until_done();
    EXPECT_EQ(got.size(), 3 * mebibyte + 4096);
}

TEST_F(DiskTest, IsOpenedOnce) {
    const auto second = Disk::open(loop_, file_.path());
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, std::errc::device_or_resource_busy);
}

TEST_F(DiskTest, MayEndWithRequestsInFlight) {
    const Buffer out(4096, 'q');
    for (std::uint64_t i = 0; i < 100; ++i) disk_->write({i * 4096, 4096}, out.payload(), true, [](auto) { FAIL(); });
    disk_->submit();
    disk_->flush([](auto) { FAIL(); });
    disk_.reset();
}

TEST(OpenExclusively, RefusesWhatIsNoDisk) {
    EXPECT_FALSE(open_exclusively("/"));
    EXPECT_FALSE(open_exclusively("/nonexistent/disk"));
}

}  // namespace
}  // namespace blockrep
