// debugfs.cfs: shows the structures of a CFS filesystem, sound or damaged, mounted or not. Never writes. Exit status: 0
// shown, 1 not shown, 64 wrong usage.
#include <sysexits.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <sstream>

#include "clusterfs/format/geometry.hh"
#include "tools/debugfs_cfs/commands.hh"
#include "tools/debugfs_cfs/read_only_file.hh"
#include "tools/debugfs_cfs/text.hh"
#include "tools/fskit/open_device.hh"

namespace {

struct Call {
    std::string device;
    std::vector<std::string> words;
    std::string request;
    std::uint64_t superblock = clusterfs::superblock_number;
    bool json = false;
};

int fail(const std::string& text) {
    std::fprintf(stderr, "debugfs.cfs: %s\n", text.c_str());
    return EXIT_FAILURE;
}

std::vector<std::string> words_of(const std::string& line) {
    std::istringstream stream(line);
    std::vector<std::string> words;
    for (std::string word; stream >> word;) words.push_back(word);
    return words;
}

// Either kind of opened device, as what it is used for here.
struct Opened {
    std::unique_ptr<debugfs_cfs::ReadOnlyFile> file;
    std::unique_ptr<fskit::OpenedDevice> other;
    clusterfs::SynchronousDevice& blocks() {
        if (file) return *file;
        return other->blocks();
    }
};

base::Result<Opened> open(const std::string& name) {
    Opened opened;
    auto file = debugfs_cfs::ReadOnlyFile::open(name);
    if (file) {
        opened.file = *std::move(file);
        return opened;
    }
    if (name.find('/') != name.npos) return std::unexpected(std::move(file).error());
    BASE_ASSIGN(opened.other, fskit::open_device(name, true));
    return opened;
}

int show(const Call& call, clusterfs::SynchronousDevice& device, const clusterfs::Superblock& superblock,
         const std::vector<std::string>& words) {
    const auto answer = debugfs_cfs::run_command(device, superblock, words);
    if (!answer) return fail(answer.error().message());
    const bool as_text = answer->is_json && !call.json;
    const auto text = as_text ? debugfs_cfs::readable(answer->text) : answer->text;
    std::fwrite(text.data(), 1, text.size(), stdout);
    if (answer->is_json && call.json) std::fputc('\n', stdout);
    std::fflush(stdout);
    return EXIT_SUCCESS;
}

void print_help() {
    for (const auto& row : debugfs_cfs::command_help()) std::printf("  %-18s %s\n", row.usage, row.what);
    std::printf("  %-18s %s\n", "quit", "");
}

int converse(const Call& call, clusterfs::SynchronousDevice& device, const clusterfs::Superblock& superblock) {
    int status = EXIT_SUCCESS;
    for (std::string line; std::cout << "debugfs.cfs: " << std::flush && std::getline(std::cin, line);) {
        const auto words = words_of(line);
        if (words.empty()) continue;
        if (words[0] == "quit" || words[0] == "q") break;
        if (words[0] == "help") {
            print_help();
        } else {
            status = show(call, device, superblock, words);
        }
    }
    return status;
}

int run(const Call& call) {
    auto opened = open(call.device);
    if (!opened) return fail(opened.error().message());
    auto& device = opened->blocks();
    const auto superblock = clusterfs::read_superblock(device, call.superblock);
    if (!superblock) return fail(call.device + ": " + superblock.error().message());
    const auto words = call.request.empty() ? call.words : words_of(call.request);
    if (words.empty()) return converse(call, device, *superblock);
    return show(call, device, *superblock, words);
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Shows the structures of a CFS filesystem. Never writes.", "debugfs.cfs");
    Call call;
    app.add_option("device", call.device, "file, block device or resource")->required();
    app.add_option("command", call.words, "command and arguments; without one, commands are read from the terminal");
    app.add_option("-R,--request", call.request, "the command in one word");
    app.add_option("-s,--superblock", call.superblock, "block of the superblock to use (a backup)");
    app.add_flag("-j,--json", call.json, "JSON instead of text");
    app.set_version_flag("-V,--version", "debugfs.cfs (CFS) 0.1.0");
    std::string commands = "Commands:\n";
    for (const auto& row : debugfs_cfs::command_help()) {
        commands += "  " + std::string(row.usage) +
                    std::string(20 - std::min<std::size_t>(19, std::strlen(row.usage)), ' ') + row.what + "\n";
    }
    app.footer(commands);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? EXIT_SUCCESS : EX_USAGE;
    }
    return run(call);
}
