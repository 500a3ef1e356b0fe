// node dcmjs_labels.mjs PACKAGE SEG IMAGES OUT: the labels of a DICOM-SEG as dcmjs gives them to OHIF, uint16, on the images' grid.
// IMAGES is JSON, one object an image in z order: sop, frame (from 1, or null), series, frameOfReference, rows, columns, cosines, position.
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";

const [folder, seg, imagesFile, out] = process.argv.slice(2);
const { adapters } = createRequire(import.meta.url)(folder);
const images = JSON.parse(readFileSync(imagesFile));
const ids = images.map((image, z) => (image.frame === null ? `image:${z}` : `image:${z}?frame=${image.frame - 1}`)); // as cornerstone names them
const byId = new Map(ids.map((id, z) => [id, images[z]]));
const modules = {
    imagePlaneModule: (image) => ({
        rows: image.rows,
        columns: image.columns,
        rowCosines: image.cosines.slice(0, 3),
        columnCosines: image.cosines.slice(3),
        imagePositionPatient: image.position,
        frameOfReferenceUID: image.frameOfReference,
    }),
    imagePixelModule: (image) => ({ rows: image.rows, columns: image.columns }),
    generalSeriesModule: (image) => ({ seriesInstanceUID: image.series }),
    sopCommonModule: (image) => ({ sopInstanceUID: image.sop }),
    frameNumber: (image) => image.frame ?? 1,
    instance: (image) => ({
        Rows: image.rows,
        Columns: image.columns,
        SOPInstanceUID: image.sop,
        SeriesInstanceUID: image.series,
        ImagePositionPatient: image.position,
    }),
};
const provider = { get: (name, id) => (modules[name] && byId.has(id) ? modules[name](byId.get(id)) : undefined) };
const bytes = readFileSync(seg);
const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
const found = adapters.Cornerstone.Segmentation.generateToolState(ids, buffer, provider);
if (found.labelmapBufferArray.length !== 1) throw new Error(`got ${found.labelmapBufferArray.length} label maps, expected 1`);
writeFileSync(out, Buffer.from(found.labelmapBufferArray[0]));
