// Where a link or an image may lead.

const SCHEMES = new Set(["http:", "https:", "mailto:"]);
const IMAGE = /^data:image\/(png|jpeg|gif|webp|avif);base64,[A-Za-z0-9+/=\s]+$/;

// The address as the browser reads it, or null where it is none that we go to.
export function target(text) {
  try {
    const url = new URL(text);
    return SCHEMES.has(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

export const inlineImage = (text) => (text.length < 8 << 20 && IMAGE.test(text) ? text : null);
