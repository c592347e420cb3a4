//! Workers that are started on demand, made at random: each field may differ between two of them.

use super::*;
use crate::definition::{
    Hook, HookId, IdlePolicy, LatentDefinition, Renderable, SecretName, SecretText,
    latent::{
        Auth, Backend, BlockDevice, Credentials, Destination, DockerDefinition, DockerImage, DockerTls, Ebs,
        Ec2Definition, Ec2Device, Ec2DeviceKind, Encoding, Image, Late, LibVirtDefinition, LocationPattern,
        MasterAddress, Network, NovaVersion, OpenStackDefinition, Pricing, PullPolicy, Recipe,
        ScriptDefinition, Session, Source, Volume,
    },
};

/// Stands in each secret, and nowhere else.
pub(super) const HIDDEN: &str = "s3sam3";

fn word() -> impl Strategy<Value = String> {
    "[a-b]"
}

fn maybe() -> impl Strategy<Value = Option<String>> {
    prop::option::of(word())
}

fn secret() -> impl Strategy<Value = SecretText> {
    prop_oneof![
        word().prop_map(|text| Secret::new(format!("{HIDDEN}{text}")).into()),
        word().prop_map(|name| SecretText::Named(SecretName::new(&name).expect("a letter is a name"))),
    ]
}

fn renderable() -> impl Strategy<Value = Renderable> {
    word().prop_map(|name| Renderable::Property { name, default: None, default_when_false: true })
}

fn text() -> impl Strategy<Value = Text> {
    prop_oneof![word().prop_map(Text::Plain), renderable().prop_map(Text::Rendered)]
}

fn late<T: Clone + fmt::Debug + 'static>(values: Vec<T>) -> impl Strategy<Value = Late<T>> {
    prop_oneof![prop::sample::select(values).prop_map(Late::Fixed), renderable().prop_map(Late::Rendered)]
}

fn table() -> impl Strategy<Value = Option<Worth>> {
    let plain = word().prop_map(|text| Worth::Plain(serde_json::json!({ "name": text })));
    prop::option::of(prop_oneof![plain, renderable().prop_map(Worth::Rendered)])
}

fn address() -> impl Strategy<Value = Option<MasterAddress>> {
    prop::option::of(
        (word(), prop::option::of(1..3u16)).prop_map(|(host, port)| MasterAddress { host, port }),
    )
}

fn price() -> impl Strategy<Value = Option<serde_json::Number>> {
    prop::option::of(
        (1..3u32).prop_map(|price| serde_json::Number::from_f64(price.into()).expect("it is finite")),
    )
}

fn hook() -> impl Strategy<Value = Hook> {
    (word(), 0..9u32, place()).prop_map(|(text, id, place)| Hook { id: HookId(id), text: text.into(), place })
}

fn image() -> impl Strategy<Value = Image> {
    let location = prop::option::of(word().prop_map(|text| LocationPattern::parse(&text).expect("a letter")));
    prop_oneof![
        word().prop_map(Image::Ami),
        (word(), location).prop_map(|(owner, location)| Image::Search { owners: vec![owner], location }),
    ]
}

fn credentials() -> impl Strategy<Value = Credentials> {
    let keys = || (secret(), secret());
    prop_oneof![
        Just(Credentials::Found),
        keys().prop_map(|(identifier, secret)| Credentials::Keys { identifier, secret }),
        word().prop_map(|path| Credentials::File(path.into())),
        (maybe(), prop::option::of(keys()), prop::option::of(secret()))
            .prop_map(|(profile, keys, token)| Credentials::Session(Session { profile, keys, token })),
    ]
}

fn device() -> impl Strategy<Value = Ec2Device> {
    let ebs = (any::<[bool; 2]>(), maybe(), prop::option::of(1..3i64)).prop_map(
        |([delete_on_termination, encrypted], text, number)| Ebs {
            delete_on_termination,
            snapshot: text.clone(),
            size_gib: number,
            volume_type: text.clone(),
            iops: number,
            throughput: number,
            encrypted,
            kms_key: text,
        },
    );
    let kind = prop_oneof![
        ebs.prop_map(Ec2DeviceKind::Ebs),
        word().prop_map(Ec2DeviceKind::Virtual),
        Just(Ec2DeviceKind::Absent),
    ];
    (word(), kind).prop_map(|(name, kind)| Ec2Device { name, kind })
}

fn ec2() -> impl Strategy<Value = Ec2Definition> {
    let pricing = prop_oneof![
        Just(Pricing::OnDemand),
        (price(), price(), word()).prop_map(|(max_price, multiplier, product)| Pricing::Spot {
            max_price,
            multiplier,
            product
        }),
    ];
    let network = prop_oneof![word().prop_map(Network::Group), word().prop_map(Network::Subnet)];
    let what = (word(), image(), pricing, credentials(), network, prop::option::of(secret()));
    let texts = [(); 4].map(|()| maybe());
    let lists = (
        prop::collection::vec(word(), 0..2),
        prop::collection::vec((word(), word()), 0..2),
        prop::collection::vec(device(), 0..2),
        prop::collection::btree_map(word(), word(), 0..2),
    );
    (what, texts, lists, prop::option::of(1..3u8)).prop_map(
        |(
            (instance_type, image, pricing, credentials, network, user_data),
            [region, placement, key_pair, instance_profile],
            (security_group_ids, volumes, devices, tags),
            ip,
        )| Ec2Definition {
            instance_type,
            image,
            pricing,
            credentials,
            region,
            placement,
            key_pair: key_pair.unwrap_or_default(),
            network,
            security_group_ids,
            elastic_ip: ip.map(|last| [192, 0, 2, last].into()),
            user_data,
            volumes,
            devices,
            tags,
            instance_profile,
        },
    )
}

fn libvirt() -> impl Strategy<Value = LibVirtDefinition> {
    ([(); 3].map(|()| maybe()), word(), address(), any::<[bool; 2]>()).prop_map(
        |([hd_image, base_image, xml], uri, master, [cheap_copy, graceful_shutdown])| LibVirtDefinition {
            hd_image: hd_image.map(Into::into),
            base_image: base_image.map(Into::into),
            uri,
            xml,
            master,
            cheap_copy,
            graceful_shutdown,
        },
    )
}

fn openstack() -> impl Strategy<Value = OpenStackDefinition> {
    let some = || prop::option::of(secret());
    let auth = prop_oneof![
        (secret(), secret(), secret(), some(), some(), some()).prop_map(
            |(auth_url, username, password, project, user_domain, project_domain)| Auth::Password {
                auth_url,
                username,
                password,
                project,
                user_domain,
                project_domain,
            }
        ),
        prop::collection::btree_map(word(), secret(), 1..3).prop_map(Auth::Arguments),
    ];
    let size = prop::option::of(late(vec![1, 2]));
    let source = late(vec![Source::Image, Source::Volume, Source::Snapshot]);
    let destination = late(vec![Destination::Volume, Destination::Local]);
    let device = (text(), source, destination, text(), late(vec![true, false]), late(vec![0, 1]), size)
        .prop_map(
            |(uuid, source, destination, device_name, delete_on_termination, boot_index, volume_size_gib)| {
                BlockDevice {
                    uuid,
                    source,
                    destination,
                    device_name,
                    delete_on_termination,
                    boot_index,
                    volume_size_gib,
                }
            },
        );
    let devices = prop::collection::vec(device, 0..2);
    let version = prop::option::of(1..3u32);
    (text(), prop::option::of(text()), devices, auth, maybe(), table(), table(), version).prop_map(
        |(flavor, image, block_devices, auth, region, meta, nova_args, minor)| OpenStackDefinition {
            flavor,
            image,
            block_devices,
            auth,
            region,
            meta,
            nova_args,
            client_version: NovaVersion { minor },
        },
    )
}

fn docker_image() -> impl Strategy<Value = DockerImage> {
    let encoding = late(vec![Encoding::Gzip, Encoding::Bzip2, Encoding::Xz, Encoding::Identity]);
    let optional = || prop::option::of(text());
    prop_oneof![
        text().prop_map(DockerImage::Named),
        (optional(), text(), late(vec![true, false]), encoding, table(), optional()).prop_map(
            |(name, dockerfile, custom_context, encoding, build_args, target)| DockerImage::Built(Recipe {
                name,
                dockerfile,
                custom_context,
                encoding,
                build_args,
                target,
            })
        ),
    ]
}

fn docker() -> impl Strategy<Value = DockerDefinition> {
    let volume = word().prop_map(|source| Volume { source, target: "/t".into(), modes: Vec::new() });
    let volume = prop_oneof![volume.prop_map(Late::Fixed), renderable().prop_map(Late::Rendered)];
    let tls = prop_oneof![
        Just(DockerTls::Off),
        Just(DockerTls::System),
        (maybe(), any::<bool>()).prop_map(|(file, verify)| DockerTls::Files {
            ca: file.clone().map(Into::into),
            client: file.map(|file| (file.clone().into(), file.into())),
            verify,
        }),
    ];
    let pull = prop::sample::select(vec![PullPolicy::Never, PullPolicy::IfAbsent, PullPolicy::Always]);
    let protocol = prop::sample::select(vec![Protocol::Pb, Protocol::Msgpack]);
    let lists = (prop::collection::vec(word(), 0..2), prop::collection::vec(volume, 0..2));
    let more = (prop::option::of(text()), table(), address(), protocol, any::<bool>());
    (text(), maybe(), tls, docker_image(), pull, lists, more).prop_map(
        |(
            host,
            api_version,
            tls,
            image,
            pull,
            (command, volumes),
            (hostname, host_config, master, master_protocol, follow_startup_logs),
        )| DockerDefinition {
            host,
            api_version,
            tls,
            image,
            pull,
            command,
            volumes,
            hostname,
            host_config,
            master,
            master_protocol,
            follow_startup_logs,
        },
    )
}

fn script() -> impl Strategy<Value = ScriptDefinition> {
    (hook(), hook(), prop::option::of(hook())).prop_map(|(start_instance, stop_instance, check_instance)| {
        ScriptDefinition { start_instance, stop_instance, check_instance }
    })
}

/// A worker that is started on demand.
pub(super) fn latent() -> impl Strategy<Value = LatentDefinition> {
    let backend = prop_oneof![
        ec2().boxed().prop_map(|ec2| Backend::Ec2(Box::new(ec2))),
        libvirt().boxed().prop_map(Backend::LibVirt),
        openstack().boxed().prop_map(|openstack| Backend::OpenStack(Box::new(openstack))),
        docker().boxed().prop_map(|docker| Backend::Docker(Box::new(docker))),
        script().boxed().prop_map(Backend::Script),
    ];
    let idle = prop_oneof![
        Just(IdlePolicy::StopAtOnce),
        (1..3u64).prop_map(|seconds| IdlePolicy::StopAfter(Duration::from_secs(seconds))),
        Just(IdlePolicy::KeepUntilShutdown),
    ];
    let span = || (1..3u64).prop_map(Duration::from_secs);
    let passwords =
        prop::option::of(secret().prop_map(|one| Passwords::new(vec![one]).expect("none is empty")));
    (passwords, idle, span(), span(), backend).prop_map(
        |(passwords, build_wait_timeout, attach_timeout, check_instance_interval, backend)| {
            LatentDefinition {
                passwords,
                build_wait_timeout,
                attach_timeout,
                check_instance_interval,
                backend,
            }
        },
    )
}

/// Two of one class, so that the options are what differs.
fn two_of_a_class() -> impl Strategy<Value = (LatentDefinition, LatentDefinition)> {
    let ec2 = || ec2().boxed().prop_map(|ec2| Backend::Ec2(Box::new(ec2)));
    let libvirt = || libvirt().boxed().prop_map(Backend::LibVirt);
    let openstack = || openstack().boxed().prop_map(|openstack| Backend::OpenStack(Box::new(openstack)));
    let docker = || docker().boxed().prop_map(|docker| Backend::Docker(Box::new(docker)));
    let script = || script().boxed().prop_map(Backend::Script);
    let backends = prop_oneof![
        // Boxed: together, they are more than the stack of a test's thread.
        (ec2(), ec2()).boxed(),
        (libvirt(), libvirt()).boxed(),
        (openstack(), openstack()).boxed(),
        (docker(), docker()).boxed(),
        (script(), script()).boxed(),
    ];
    (latent().boxed(), latent().boxed(), backends, any::<bool>()).prop_map(
        |(mut a, mut b, backends, is_all)| {
            if !is_all {
                // Then the backend's options alone differ.
                b = a.clone();
            }
            (a.backend, b.backend) = backends;
            (a, b)
        },
    )
}

proptest! {
    #[test]
    fn each_option_of_a_latent_worker_that_differs_is_told_and_no_other((a, b) in two_of_a_class()) {
        let changes = a.changes(&b);
        prop_assert_eq!(changes.is_empty(), a == b, "{:?}", changes);
        prop_assert!(a.changes(&a).is_empty());
        prop_assert!(changes.iter().all(|change| change.cost <= Cost::WhenIdle), "{:?}", changes);
        let options: Vec<_> = changes.iter().map(|change| change.option).collect();
        let known = crate::definition::options::CONSTRUCTORS.iter().find(|known| known.name == a.class());
        let known = known.expect("each class has its constructor");
        for option in options {
            prop_assert!(known.option(option).is_some(), "{} has no `{}`", known.name, option);
        }
    }
}
