// Segments a NIfTI file with ITK and flare-trt: segment_nifti MODEL CT LABELS. Research software, not a medical device.
#include <itkImageFileReader.h>
#include <itkImageFileWriter.h>

#include <cstdint>
#include <exception>
#include <iostream>
#include <string>

#include <flare_trt/itk.hpp>

namespace {

bool holds_whole_numbers(const std::string& path) {
    const auto io = itk::ImageIOFactory::CreateImageIO(path.c_str(), itk::ImageIOFactory::IOFileModeEnum::ReadMode);
    if (!io) throw flare_trt::InputError(path + ": ITK cannot read it");
    io->SetFileName(path);
    io->ReadImageInformation();
    return io->GetComponentType() == itk::IOComponentEnum::SHORT;
}

template <class Voxel>
flare_trt::ItkSegmentation segment_file(const flare_trt::Segmenter& segmenter, const std::string& path) {
    const auto ct = itk::ReadImage<itk::Image<Voxel, 3>>(path);
    return flare_trt::segment(segmenter, *ct);
}

}  // namespace

int main(int count, char** words) {
    if (count != 4) {
        std::cerr << "usage: segment_nifti MODEL CT LABELS\n";
        return 2;
    }
    const std::string ct = words[2], labels = words[3];
    try {
        const flare_trt::Segmenter segmenter(words[1]);
        const auto found = holds_whole_numbers(ct) ? segment_file<std::int16_t>(segmenter, ct) : segment_file<float>(segmenter, ct);
        itk::WriteImage(found.labels, labels, true);
        std::cout << found.report_json << "\n";
    } catch (const std::exception& error) {  // flare_trt::Error and itk::ExceptionObject
        std::cerr << "segment_nifti: " << error.what() << "\n";
        return 1;
    }
    return 0;
}
