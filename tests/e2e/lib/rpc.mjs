// JSON-RPC over fetch, as text and as values.
const JSON_TYPE = { 'content-type': 'application/json' };

// Posts 'body' as it is; resolves to {status, headers, text}.
export async function post(gateway, body, { headers, signal, path = '/rpc' } = {}) {
  const response = await fetch(gateway.url + path, {
    method: 'POST', body, signal, headers: { ...JSON_TYPE, ...headers },
  });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

export function request(method, params, id = 1) {
  return { jsonrpc: '2.0', id, method, params };
}

// Calls 'method'; resolves to the JSON-RPC response object.
export async function call(gateway, method, params, options) {
  return JSON.parse((await post(gateway, JSON.stringify(request(method, params)), options)).text);
}
