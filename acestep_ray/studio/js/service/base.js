// Where the service is: the page's own folder, whatever path leads to it.
export const base = new URL("./", document.baseURI);

/** The address of a route, such as "v1/jobs". */
export const at = (path) => new URL(path, base);

/** The address of a take. The service may name it with another host (ACESTEP_PUBLIC_URL), or without
 * the path under which this page is; here it is always beside the page. */
export const audioAt = (path) => at(path.slice(path.lastIndexOf("/v1/audio/") + 1));
