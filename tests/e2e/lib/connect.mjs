// The stock client of Connect, with a service that is described by hand: no generated code.
import { create, createFileRegistry, fromJson, toJson } from '@bufbuild/protobuf';
import {
  FileDescriptorProtoSchema, FileDescriptorSetSchema, ValueSchema, file_google_protobuf_empty,
} from '@bufbuild/protobuf/wkt';
import { createClient } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node';

const field = (name, number, type) => ({ name, number, type, label: 'LABEL_OPTIONAL', jsonName: name });
const method = (name, output = '.eliza.v1.Sentence', more = {}) =>
  ({ name, inputType: '.eliza.v1.Sentence', outputType: output, ...more });

const FILE = {
  name: 'eliza/v1/eliza.proto',
  package: 'eliza.v1',
  syntax: 'proto3',
  dependency: ['google/protobuf/empty.proto'],
  messageType: [
    { name: 'Sentence', field: [field('sentence', 1, 'TYPE_STRING'), field('count', 2, 'TYPE_INT32')] },
  ],
  service: [{
    name: 'ElizaService',
    method: [
      method('Say'), method('Fail'), method('Wait'), method('Unknown'),
      method('Look', undefined, { options: { idempotencyLevel: 'NO_SIDE_EFFECTS' } }),
      method('Nothing', '.google.protobuf.Empty'),
      method('Count', undefined, { serverStreaming: true }),
      method('Endless', undefined, { serverStreaming: true }),
      method('UnknownStream', undefined, { serverStreaming: true }),
    ],
  }],
};

const registry = createFileRegistry(create(FileDescriptorSetSchema, {
  file: [file_google_protobuf_empty.proto, fromJson(FileDescriptorProtoSchema, FILE)],
}));
export const Eliza = registry.getService('eliza.v1.ElizaService');

// A client of the service; 'options' are the transport's.
export function client(gateway, options = {}) {
  return createClient(Eliza, createConnectTransport({
    baseUrl: gateway.rpcUrl, httpVersion: '1.1', useBinaryFormat: false, ...options,
  }));
}

// The script's data in the details of a ConnectError, decoded from Protobuf.
export const dataOf = (error) => error.findDetails(ValueSchema).map((value) => toJson(ValueSchema, value));
