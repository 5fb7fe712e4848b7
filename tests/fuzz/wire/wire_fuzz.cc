// Random and mutated bytes through the decoders of everything that nodes say to each other and that blockrep keeps on
// disk. What is accepted must be what its own encoder writes: a decoder that overlooks a field fails that.
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "base/ensure.hh"
#include "blockrep/format/message.hh"
#include "blockrep/format/metadata.hh"
#include "dlm/format/link_frame.hh"
#include "dlm/format/message.hh"
#include "fencing/format/message.hh"

namespace {

std::mt19937_64 dice(20261121);

// Accepted bytes as the encoder writes them; nothing when refused.
using Decoder = std::function<std::optional<base::Bytes>(base::ByteView)>;

template <typename Decode>
Decoder canonical(Decode decode) {
    return [decode](base::ByteView bytes) -> std::optional<base::Bytes> {
        auto value = decode(bytes);
        if (!value) return std::nullopt;
        if constexpr (requires { encode(*value).has_value(); }) {
            return encode(*value).value();
        } else {
            return encode(*value);
        }
    };
}

base::Bytes mutated(base::Bytes bytes) {
    for (auto changes = dice() % 4; changes > 0 && !bytes.empty(); --changes) {
        auto& byte = bytes[dice() % bytes.size()];
        switch (dice() % 3) {
            case 0:
                byte ^= static_cast<std::byte>(1u << (dice() % 8));
                break;
            case 1:
                byte = static_cast<std::byte>(dice());
                break;
            default:
                byte = dice() % 2 == 0 ? std::byte{0xff} : std::byte{0};
        }
    }
    if (dice() % 8 == 0) bytes.resize(dice() % (bytes.size() + 8));
    return bytes;
}

base::Bytes noise() {
    base::Bytes bytes(dice() % 200);
    for (auto& byte : bytes) byte = static_cast<std::byte>(dice());
    if (!bytes.empty()) bytes[0] = static_cast<std::byte>(dice() % 48);  // kinds are small numbers
    return bytes;
}

// Every accepted input is kept as a seed for more.
std::uint64_t fuzz(const std::string& name, const Decoder& decode, std::vector<base::Bytes> seeds, int rounds) {
    std::uint64_t accepted = 0;
    for (int round = 0; round < rounds; ++round) {
        const auto input = seeds.empty() || dice() % 4 == 0 ? noise() : mutated(seeds[dice() % seeds.size()]);
        const auto again = decode(input);
        if (!again) continue;
        ++accepted;
        base::ensure(*again == input, name + ": what was accepted is not what would be written");
        if (seeds.size() < 4000) seeds.push_back(input);
    }
    return accepted;
}

std::vector<base::Bytes> replication_seeds() {
    using namespace blockrep;
    const Range range{4096, 8192};
    std::vector<Frame> frames{Hello{wire_version, {}, {}, {base::Uuid{{std::byte{1}}}, {}, 7}}, Acknowledge{9}};
    for (const Message& message :
         {Message(StateReport{}), Message(Agreed{}), Message(BitmapPart{{{1, 2}, {9, 4}}, true}), Message(SyncStart{5}),
          Message(SyncFinish{}), Message(Write{1, range, true, false}), Message(WriteDone{1, true, false}), Message(Flush{2}),
          Message(Read{3, range}), Message(ReadDone{3, true, true}), Message(ResyncBlocks{4, range, true}),
          Message(PromoteReply{5, true}), Message(LeaveAccepted{})}) {
        frames.push_back(Numbered{3, 2, message});
    }
    std::vector<base::Bytes> seeds;
    for (const auto& frame : frames) seeds.push_back(encode(frame));
    return seeds;
}

std::vector<base::Bytes> peer_seeds() {
    using namespace dlm;
    const Value value{};
    std::vector<base::Bytes> seeds;
    for (const auto& body : std::initializer_list<PeerBody>{
             Request{1, 2, "M2f", Mode::PR, {}}, Convert{1, 2, "M2f", Mode::EX, {}}, Lower{1, "M2f", Mode::NL, value},
             Unlock{1, "M2f", std::nullopt}, Cancel{1, 2, "M2f"}, StoreValue{1, "M2f", value},
             Granted{1, 2, Mode::EX, false, value}, Refused{}, Blocking{1, Mode::PR}, ValueStored{1, 7},
             Redirect{1, 2, "M2f", {2}}, NotMaster{1, 2}, DirectoryRemove{"M2f"}, DirectoryEntries{{"A0", "R0"}},
             HeldLocks{{{1, "M2f", Mode::EX, value}}}, WrittenValues{{{"M2f", value}}}, RebuildDone{}}) {
        seeds.push_back(encode(PeerMessage{3, body}));
    }
    return seeds;
}

std::vector<base::Bytes> group_seeds() {
    using namespace dlm;
    const base::NodeIncarnation life{{2}, base::Uuid{{std::byte{5}}}};
    const Member member{{{2}, 77}, life, base::Uuid{{std::byte{6}}}, 7789};
    MemberStatus status;
    status.self = member;
    status.known = {member};
    status.fenced = {life};
    std::vector<base::Bytes> seeds;
    for (const auto& message : std::initializer_list<GroupMessage>{
             RoundStart{{{{1}, 9}, 4}}, status, Ready{{{{1}, 9}, 4}, 5}, Resumed{5}, ReleaseDead{life}}) {
        seeds.push_back(encode(message));
    }
    return seeds;
}

std::vector<base::Bytes> fencing_seeds() {
    using namespace fencing;
    const base::NodeIncarnation life{{2}, base::Uuid{{std::byte{5}}}};
    const OpenRequest request{life, "link lost", "blockrepd on a"};
    std::vector<base::Bytes> seeds;
    for (const auto& message :
         std::initializer_list<Message>{Hello{life.incarnation, {}, {request}, {}}, Request{request}, Withdraw{life},
                                        Claim{{2}, 1}, Decline{{2}, 1}, Overlook{{2}}, Facts{{life}, {}}}) {
        seeds.push_back(encode(message).value());
    }
    return seeds;
}

}  // namespace

int main(int argc, char** argv) {
    const int rounds = argc > 1 ? std::atoi(argv[1]) : 200000;
    const auto say = [](const char* name, std::uint64_t accepted) {
        std::printf("%s: %llu inputs accepted\n", name, static_cast<unsigned long long>(accepted));
    };
    say("blockrep frames",
        fuzz("blockrep frame", canonical([](base::ByteView bytes) { return blockrep::decode(bytes, 0); }),
             replication_seeds(), rounds));
    say("blockrep superblocks",
        fuzz("blockrep superblock", canonical([](base::ByteView bytes) { return blockrep::decode_superblock(bytes); }),
             {blockrep::encode(blockrep::Superblock{})}, rounds / 50));
    say("blockrep activity logs",
        fuzz("activity log", canonical([](base::ByteView bytes) { return blockrep::decode_activity_log(bytes); }),
             {blockrep::encode(blockrep::ActivityLogCopy{3, {1, 2, 3}})}, rounds / 50));
    say("dlm peer messages",
        fuzz("dlm peer message", canonical([](base::ByteView bytes) { return dlm::decode_peer_message(bytes); }),
             peer_seeds(), rounds));
    say("dlm group messages",
        fuzz("dlm group message", canonical([](base::ByteView bytes) { return dlm::decode_group_message(bytes); }),
             group_seeds(), rounds));
    say("dlm link frames",
        fuzz("dlm link frame", canonical([](base::ByteView bytes) { return dlm::decode_link_frame(bytes); }), {},
             rounds));
    say("fencing messages",
        fuzz("fencing message", canonical([](base::ByteView bytes) { return fencing::decode(bytes); }), fencing_seeds(),
             rounds));
    return 0;
}
