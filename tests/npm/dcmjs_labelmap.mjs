// node dcmjs_labelmap.mjs PACKAGE SEG IMAGES OUT: the labels of a labelmap DICOM-SEG, as uint8 on the images' grid. dcmjs parses the file;
// its adapters (what OHIF draws with) do not know labelmaps, so frames are unpacked (RLE, PS3.5, annex G) and put by their position here.
// IMAGES is JSON, one object an image in z order, of which `position` is used.
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";

const [folder, seg, imagesFile, out] = process.argv.slice(2);
const { data } = createRequire(import.meta.url)(folder);
const bytes = readFileSync(seg);
const file = data.DicomMessage.readFile(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
const found = data.DicomMetaDictionary.naturalizeDataset(file.dict);
if (found.SegmentationType !== "LABELMAP") throw new Error(`got ${found.SegmentationType}, expected LABELMAP`);
const pixels = found.Rows * found.Columns;
const images = JSON.parse(readFileSync(imagesFile));
const labels = new Uint8Array(images.length * pixels);
[found.PerFrameFunctionalGroupsSequence].flat().forEach((groups, frame) => {
    const position = [groups.PlanePositionSequence].flat()[0].ImagePositionPatient.map(Number);
    const z = images.findIndex((image) => image.position.every((mm, axis) => Math.abs(mm - position[axis]) < 1e-3));
    if (z < 0) throw new Error(`frame ${frame + 1} lies at ${position}, where there is no image`);
    labels.set(unpacked(new Uint8Array(found.PixelData[frame])), z * pixels);
});
writeFileSync(out, labels);

function unpacked(packed) {
    const header = new DataView(packed.buffer, packed.byteOffset, 64);
    if (header.getUint32(0, true) !== 1) throw new Error(`got ${header.getUint32(0, true)} RLE segments, expected 1 of 8 bits`);
    const frame = new Uint8Array(pixels);
    let from = header.getUint32(4, true);
    let to = 0;
    while (to < pixels) {
        const count = packed[from++];
        if (count < 128) {
            frame.set(packed.subarray(from, from + count + 1), to);
            from += count + 1;
            to += count + 1;
        } else if (count > 128) {
            frame.fill(packed[from++], to, to + 257 - count);
            to += 257 - count;
        }
    }
    return frame;
}
