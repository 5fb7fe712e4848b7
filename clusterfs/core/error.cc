#include "clusterfs/core/error.hh"

#include <string>

namespace clusterfs {
namespace {

class Category : public std::error_category {
  public:
    const char* name() const noexcept override { return "clusterfs"; }
    std::string message(int code) const override {
        switch (static_cast<Errc>(code)) {
            case Errc::needed:
                return "a block or lock has to be fetched first";
            case Errc::corrupted:
                return "the structure on disk is damaged; run fsck.cfs";
            case Errc::stale_inode:
                return "the file was deleted";
            case Errc::not_a_filesystem:
                return "no CFS filesystem found here (make one with mkfs.cfs)";
            case Errc::newer_format:
                return "the filesystem was made by a newer version of CFS";
            case Errc::no_free_slot:
                return "every slot is in use by a mounted node";
            case Errc::journal_corrupted:
                return "a journal is damaged; run fsck.cfs";
        }
        return "unknown clusterfs error";
    }
    std::error_condition default_error_condition(int code) const noexcept override {
        switch (static_cast<Errc>(code)) {
            case Errc::corrupted:
            case Errc::journal_corrupted:
                return {117, std::generic_category()};  // EUCLEAN
            case Errc::stale_inode:
                return {116, std::generic_category()};  // ESTALE
            case Errc::no_free_slot:
                return std::make_error_condition(std::errc::device_or_resource_busy);
            default:
                return std::make_error_condition(std::errc::io_error);
        }
    }
};

}  // namespace

const std::error_category& category() {
    static const Category instance;
    return instance;
}

}  // namespace clusterfs
