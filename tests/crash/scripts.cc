#include "tests/crash/scripts.hh"

namespace crash {
namespace {

using base::Duration;

std::string number(int i) { return std::to_string(i); }

// No two places of no two files hold the same, as far as bytes can tell.
std::string bytes(std::size_t length, int salt) {
    std::string data(length, '\0');
    for (std::size_t i = 0; i < length; ++i) {
        data[i] = static_cast<char>((i * 31 + i / 251 * 17 + static_cast<std::size_t>(salt) * 101) % 255 + 1);
    }
    return data;
}

std::string long_name(const std::string& start) { return start + std::string(200, 'n'); }

std::string folder_of(int round) { return "round" + number(round) + "/"; }

// Each round has a directory; the one before the last goes.
std::string begin_round(ScriptedMount& mount, int round) {
    mount.make_directory("round" + number(round));
    if (round >= 2) mount.remove_tree("round" + number(round - 2));
    return folder_of(round);
}

void nothing(ScriptedMount&) {}

void names(ScriptedMount& mount, int round) {
    const auto in = begin_round(mount, round);
    mount.make_directory(in + "a");
    mount.make_directory(in + "a/b");
    mount.make_directory(in + "c");
    for (int i = 0; i < 12; ++i) {
        const auto file = in + "a/file" + number(i);
        const auto moved = in + "a/b/moved" + number(i);
        mount.create(file);
        mount.maybe_sync();
        mount.link(file, in + "c/link" + number(i));
        mount.maybe_sync();
        mount.rename(file, moved);
        mount.maybe_sync();
        mount.symlink(in + "c/symlink" + number(i), "../a/b/moved" + number(i));
        mount.chmod(moved, 0600 + static_cast<std::uint32_t>(i % 8));
        mount.maybe_sync();
        if (i % 2 == 0) mount.unlink(in + "c/link" + number(i));
        if (i > 2) mount.rename(in + "c/symlink" + number(i), in + "c/symlink" + number(i - 1));  // over that one
        mount.maybe_sync();
        if (i > 4 && i % 2 == 1) mount.exchange(moved, in + "c/link" + number(i));
        mount.maybe_sync();
        if (i > 6) mount.unlink(in + "a/b/moved" + number(i - 6));
        mount.maybe_sync();
    }
    mount.rename(in + "a/b", in + "c/b");
    mount.maybe_sync();
    mount.exchange(in + "a", in + "c");
    mount.maybe_sync();
    mount.make_directory(in + "a/empty");
    mount.rename(in + "a/empty", in + "c/empty");
    mount.maybe_sync();
    mount.remove_directory(in + "c/empty");
    mount.unlink(in + "a/link11");
    mount.sync();
}

void data(ScriptedMount& mount, int round) {
    const auto in = begin_round(mount, round);
    for (int i = 0; i < 8; ++i) {
        const auto file = in + "file" + number(i);
        const auto salt = round * 7 + i;
        mount.create(file);
        mount.write(file, 0, bytes(100 + static_cast<std::size_t>(i) * 37, salt));  // in the inode
        mount.maybe_sync();
        mount.append(file, bytes(5000, salt + 1));  // out of it
        mount.maybe_sync();
        mount.write(file, 2000, bytes(3000, salt + 2));  // in place
        mount.maybe_sync();
        mount.write(file, 30000, bytes(9000, salt + 3));  // behind a hole
        mount.truncate(file, 33333);
        mount.maybe_sync();
        mount.truncate(file, 36000);
        mount.write(file, 12288, bytes(8192, salt + 4));  // into the hole
        mount.maybe_sync();
        mount.truncate(file, 50);
        mount.maybe_sync();
        mount.append(file, bytes(20, salt + 5));
        mount.maybe_sync();
        if (i % 2 == 1) mount.truncate(file, 0);
        mount.write(file, 4096, bytes(4096, salt + 6));
        mount.maybe_sync();
        if (i >= 4) mount.unlink(in + "file" + number(i - 4));
    }
    mount.sync();
}

// A log of lines, each promised.
void log(ScriptedMount& mount, int round) {
    const auto in = begin_round(mount, round);
    mount.create(in + "log");
    mount.create(in + "other");
    for (int i = 0; i < 150; ++i) {
        mount.append(in + "log", bytes(60 + static_cast<std::size_t>(i % 40), i));
        mount.sync();
        if (i % 10 == 0) mount.write(in + "other", static_cast<std::uint64_t>(i) * 300, bytes(300, i));
        if (i % 60 == 59) {
            mount.rename(in + "log", in + "log.1");  // rotated
            mount.create(in + "log");
        }
    }
}

void directories(ScriptedMount& mount, int round) {
    const auto in = begin_round(mount, round);
    mount.make_directory(in + "grows");
    for (int i = 0; i < 110; ++i) {
        mount.create(in + "grows/" + long_name(number(i)));
        mount.maybe_sync();
    }
    for (int i = 0; i < 110; ++i) {
        const auto file = in + "grows/" + long_name(number(i));
        if (i % 5 == 0) mount.rename(file, in + long_name("kept" + number(i)));
        if (i % 5 != 0) mount.unlink(file);
        mount.maybe_sync();
    }
    mount.remove_directory(in + "grows");
    auto path = in + "deep";
    for (int i = 0; i < 12; ++i) {
        mount.make_directory(path);
        path += "/d" + number(i);
        mount.maybe_sync();
    }
    mount.sync();
}

void attributes(ScriptedMount& mount, int round) {
    const auto in = begin_round(mount, round);
    mount.make_directory(in + "directory");
    for (int i = 0; i < 12; ++i) {
        const auto file = in + "directory/file" + number(i);
        mount.create(file);
        mount.set_xattr(file, "user.small", bytes(20, i));
        mount.maybe_sync();
        mount.set_xattr(file, "user.large", bytes(2500, i));  // a block of its own
        mount.maybe_sync();
        mount.write(file, 0, bytes(3000, i));
        mount.maybe_sync();
        mount.set_xattr(file, "user.small", bytes(700, i + 1));
        mount.set_xattr(in + "directory", "user.of-directory", bytes(30 + static_cast<std::size_t>(i) * 90, i));
        mount.maybe_sync();
        mount.remove_xattr(file, "user.large");
        mount.maybe_sync();
        if (i % 2 == 1) mount.remove_xattr(file, "user.small");
        if (i % 4 == 3) mount.unlink(in + "directory/file" + number(i - 1));
        mount.maybe_sync();
    }
    mount.sync();
}

// Names go while the files are open.
void open_files(ScriptedMount& mount, int round) {
    for (int i = 0; i < 9; ++i) {
        const auto file = "file" + number(i);
        mount.create(file);
        mount.write(file, 0, bytes(i % 3 == 0 ? 200 : 9000, i + round));
        mount.maybe_sync();
        mount.open(file);
        mount.unlink(file);
        mount.maybe_sync();
    }
    mount.sync();
    mount.close_all();
    mount.pass(Duration::milliseconds(200));
    mount.maybe_sync();
    mount.create("stays" + number(round));
    mount.sync();
}

void take_blocks(ScriptedMount& mount, const std::string& file, std::uint64_t blocks) {
    mount.create(file);
    mount.reserve(file, blocks * clusterfs::block_size);
}

// Everything is taken; the small ballast goes first.
void fill(ScriptedMount& mount) {
    take_blocks(mount, "small-ballast", 96);
    take_blocks(mount, "ballast", 1 << 20);
    mount.sync();
}

void full(ScriptedMount& mount, int round) {
    if (round == 0) mount.unlink("small-ballast");
    int made = 0;
    for (bool room = true; room && made < 400; ++made) {
        const auto file = "r" + number(round) + "-" + number(made);
        room = mount.create(file) && mount.write(file, 0, bytes(made % 2 == 0 ? 300 : 12000, made));
        mount.maybe_sync();
    }
    mount.make_directory("directory" + number(round));  // with or without success
    if (mount.exists("r0-0")) mount.append("r0-0", bytes(20000, round));
    mount.sync();
    for (int earlier = 0; earlier <= round; ++earlier) {
        for (int i = 0; i < made; i += 2) {
            const auto file = "r" + number(earlier) + "-" + number(i + (round - earlier) % 2);
            if (mount.exists(file)) mount.unlink(file);
            mount.maybe_sync();
        }
    }
    mount.sync();
}

}  // namespace

const std::vector<Script>& all_scripts() {
    static const std::vector<Script> scripts = {
        {"names", nothing, 16, names},
        {"data", nothing, 12, data},
        {"log", nothing, 4, log},
        {"directories", nothing, 5, directories},
        {"attributes", nothing, 12, attributes},
        {"open_files", nothing, 20, open_files},
        {"full", fill, 6, full},
    };
    return scripts;
}

}  // namespace crash
