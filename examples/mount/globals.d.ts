/**
 * What the examples of this folder use of the globals of Bun and Deno; a project of yours has `@types/bun` or Deno's own
 * types instead.
 */
declare const Bun: {
  serve(options: object): { readonly port: number; stop(closeActiveConnections: boolean): Promise<void> }
}
declare const Deno: {
  serve(
    options: object,
    handler: (request: Request, info: { readonly remoteAddr: object }) => Response | Promise<Response>
  ): { readonly addr: { readonly port: number }; shutdown(): Promise<void> }
}
